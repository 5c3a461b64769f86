package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"healthrecords/auth"
	"healthrecords/handlers"
	"healthrecords/store"
)

type command struct {
	name    string
	args    string
	summary string
	run     func(*program, []string) error
}

func commands() []command {
	return []command{
		{"serve", "", "serves; also what is done without a command", serve},
		{"createsuperuser", "--username U --email E [--password-stdin]", "makes a staff account", createSuperuser},
		{"migrate", "[--check]", "brings the schema of the database up to date; --check only looks", migrate},
		{"user", "activate|deactivate|sessions [--end]|unlock|reset-password|reset-otp USERNAME", "lets an account in or shuts it out, shows or ends its sessions, forgets failed attempts, prints a link for a new password, turns its one-time codes off", userCommand},
		{"backup", "FILE", "copies the database, also while it is in use, and writes FILE.manifest", backupCommand},
		{"restore", "FILE", "checks a backup and puts it in the database's place", restoreCommand},
		{"copy", "--from URL --to URL", "copies a practice to another, empty database, SQLite's or PostgreSQL's; stop the service first", copyCommand},
		{"keys", "status|rotate", "shows the data keys; changes to a new one", keysCommand},
		{"erase", `patient ID --reason "…"`, "destroys what is known of a patient, for good", eraseCommand},
		{"audit", "verify [--since FILE] | export [--format ndjson|csv]", "checks the audit trail against itself and its checkpoints; prints it", auditCommand},
		{"check", "", "looks for what is wrong or risky, and says what to do", check},
		{"healthcheck", "", "asks the running service whether it is ready", healthcheck},
		{"version", "", "says what this program is made of", version},
	}
}

func commandNamed(name string) (command, bool) {
	for _, c := range commands() {
		if c.name == name {
			return c, true
		}
	}
	return command{}, false
}

func (p *program) printCommands(w io.Writer) {
	fmt.Fprintln(w, "healthrecords keeps the health records of a small medical practice.\n\nCommands:")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %s\n      %s\n", strings.TrimSpace(c.name+" "+c.args), c.summary)
	}
	fmt.Fprintln(w, "\nSettings are environment variables; README.md lists them.\nExit code: 0 done, 1 no, 2 wrong use.")
}

func (p *program) printHelp(name string, f *flag.FlagSet) {
	c, _ := commandNamed(name)
	fmt.Fprintf(p.out, "healthrecords %s\n\n%s.\n", strings.TrimSpace(c.name+" "+c.args), c.summary)
	f.SetOutput(p.out)
	f.PrintDefaults()
}

func createSuperuser(p *program, args []string) error {
	var name, email string
	var stdin bool
	if _, err := p.flags("createsuperuser", args, nil, func(f *flag.FlagSet) {
		f.StringVar(&name, "username", "", "the user name; asked for when not given")
		f.StringVar(&email, "email", "", "the e-mail address; asked for when not given")
		f.BoolVar(&stdin, "password-stdin", false, "read the password from standard input, up to one newline at its end")
	}); err != nil {
		return err
	}
	if stdin && (name == "" || email == "") {
		return usage("createsuperuser: with --password-stdin, --username and --email must be given")
	}
	s, madeKeys, err := p.open(true)
	if err != nil {
		return err
	}
	defer s.Close()
	if madeKeys {
		p.welcome()
	}
	password, err := p.askAccount(&name, &email, stdin)
	if err != nil {
		return err
	}
	in := handlers.NewStaff(name, email, password, p.settings.PasswordMinLength)
	if in.Problems.Err() == nil {
		if in.User.PasswordHash, err = auth.NewHasher(1, 1).Hash(p.ctx, password); err != nil {
			return err
		}
	}
	if _, err := s.CreateStaff(p.ctx, store.Command("createsuperuser"), in); err != nil {
		return p.explainInvalid(err)
	}
	fmt.Fprintln(p.out, "The staff account is made. It can sign in now.")
	return nil
}

// askAccount asks for what was not given.
func (p *program) askAccount(name, email *string, stdin bool) (password string, err error) {
	if stdin {
		return readPasswordFrom(p.in)
	}
	lines := bufio.NewReader(p.in)
	for _, ask := range []struct {
		prompt string
		to     *string
	}{{"User name: ", name}, {"E-mail address: ", email}} {
		if *ask.to == "" {
			fmt.Fprint(p.err, ask.prompt)
			line, err := lines.ReadString('\n')
			if err != nil {
				return "", errors.New("nothing was entered")
			}
			*ask.to = strings.TrimSpace(line)
		}
	}
	if password, err = readPassword("Password: "); err != nil {
		return "", err
	}
	again, err := readPassword("Password (again): ")
	if err == nil && again != password {
		err = errors.New("the passwords differ")
	}
	return password, err
}

// explainInvalid prints what is wrong with an input, a line each.
func (p *program) explainInvalid(err error) error {
	var invalid *store.Invalid
	if !errors.As(err, &invalid) {
		return err
	}
	invalid.Each(func(field, message string) {
		fmt.Fprintf(p.err, "%s: %s\n", strings.TrimPrefix(field, "user."), message)
	})
	return exit(exitNo)
}

func migrate(p *program, args []string) error {
	var look bool
	if _, err := p.flags("migrate", args, nil, func(f *flag.FlagSet) {
		f.BoolVar(&look, "check", false, "change nothing; exit 1 when the schema is not up to date")
	}); err != nil {
		return err
	}
	if err := p.configure(); err != nil {
		return err
	}
	pending, err := store.PendingSteps(p.ctx, p.storeOptions())
	switch {
	case err != nil:
		return err
	case pending == 0:
		fmt.Fprintln(p.out, "The schema is up to date.")
		return nil
	case look:
		fmt.Fprintf(p.out, "The schema lacks %d steps.\n", pending)
		return exit(exitNo)
	}
	s, _, err := p.openStore(true, true)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "The schema is up to date now: %d steps were made.\n", pending)
	return s.Close()
}

// release and commit are set by the linker in a release, which may be built
// where there is no repository: in an image.
var release, commit = "dev", ""

func version(p *program, args []string) error {
	if _, err := p.flags("version", args, nil, nil); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "healthrecords %s\n", release)
	if commit != "" {
		fmt.Fprintf(p.out, "revision %s\n", commit)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" || s.Key == "vcs.modified" {
			fmt.Fprintf(p.out, "%s %s\n", strings.TrimPrefix(s.Key, "vcs."), s.Value)
		}
	}
	fmt.Fprintf(p.out, "go %s %s/%s\n", strings.TrimPrefix(runtime.Version(), "go"), runtime.GOOS, runtime.GOARCH)
	for _, m := range info.Deps {
		fmt.Fprintf(p.out, "%s %s\n", m.Path, m.Version)
	}
	fmt.Fprintf(p.out, "sqlite %s\n", store.SQLiteVersion())
	return nil
}
