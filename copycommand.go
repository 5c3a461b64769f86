package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strings"

	"healthrecords/store"
)

// copyCommand moves a practice to another database.
func copyCommand(p *program, args []string) error {
	var from, to string
	if _, err := p.flags("copy", args, nil, func(f *flag.FlagSet) {
		f.StringVar(&from, "from", "", "the URL of the database to copy; DATABASE_URL when not given")
		f.StringVar(&to, "to", "", "the URL of the empty database to copy it to; DATABASE_URL when not given")
	}); err != nil {
		return err
	}
	if from == "" && to == "" {
		return usage("copy: give --from, --to or both")
	}
	for _, given := range []struct{ name, url string }{{"--from", from}, {"--to", to}} {
		if err := p.checkURL(given.name, given.url); err != nil {
			return err
		}
	}
	if err := p.configure(); err != nil {
		return err
	}
	if from == "" {
		if err := p.findDatabase(); err != nil {
			return err
		}
	}
	target := p.storeOptions()
	target.URL = cmp.Or(to, target.URL)
	p.settings.DatabaseURL = secret(cmp.Or(from, string(p.settings.DatabaseURL)))
	if _, err := p.keys(false); err != nil {
		return err
	}
	done, err := store.Copy(p.ctx, p.storeOptions(), target, store.Command("copy"))
	if errors.Is(err, store.ErrNotEmpty) {
		return fmt.Errorf("%w; a copy replaces nothing", err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s: %d patients, doctors and staff, %d records, %d entries in the trail\n",
		store.DatabaseName(target.URL), done.Rows["accounts"], done.Rows["records"], done.Entries)
	fmt.Fprintln(p.err, "Serve it with the same DATA_KEY, SECRET_KEY and AUDIT_CHECKPOINTS. Do not start the service on the old database again: both would send what mail waits. If the service still runs, stop it and copy again, to an empty database: what it acknowledges now is not in this copy.")
	return nil
}

// checkURL refuses a URL that is none. A password in it is seen by whoever
// lists the processes of this machine.
func (p *program) checkURL(flag, text string) error {
	if text == "" {
		return nil
	}
	problem := ""
	if !strings.HasPrefix(text, "postgres") {
		_, problem = parseSQLite(text)
	} else if _, err := store.ParsePostgres(text); err != nil {
		problem = err.Error()
	}
	if problem != "" {
		return usage("copy: " + flag + ": " + problem)
	}
	if u, err := url.Parse(text); err == nil && u.User != nil {
		if _, given := u.User.Password(); given {
			fmt.Fprintf(p.err, "healthrecords: others on this machine can see the password in %s; set DATABASE_URL or DATABASE_URL_FILE and leave the flag out, or keep it in ~/.pgpass\n", flag)
		}
	}
	return nil
}
