// Healthrecords keeps the health records of a small medical practice: patients,
// their doctors, records and notes. Started without arguments it serves; the
// other commands are what an operator needs beside that. README.md tells how
// it is used, SECURITY.md what it promises.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"healthrecords/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	p := &program{ctx: ctx, environ: os.Environ(), in: os.Stdin, out: os.Stdout, err: os.Stderr, terminal: isTerminal(os.Stderr)}
	code := p.run(os.Args[1:])
	stop()
	os.Exit(code)
}

// program is a run of the program and its surroundings.
type program struct {
	ctx      context.Context
	environ  []string
	in       io.Reader
	out, err io.Writer
	terminal bool // whether err is one

	settings settings
	log      *slog.Logger
}

// Exit codes: done, no, wrong use.
const (
	exitDone  = 0
	exitNo    = 1
	exitUsage = 2
)

// exit is the error of a command that has said all there is to say.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// usage is a command line that makes no sense.
type usage string

func (u usage) Error() string { return string(u) }

// run finds the command and runs it. It returns the exit code.
func (p *program) run(args []string) int {
	name := "serve"
	if len(args) > 0 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help" || args[0] == "help") {
		p.printCommands(p.out)
		return exitDone
	}
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	if name == hashCommand {
		return p.report(computeHashes(p.in, p.out))
	}
	c, ok := commandNamed(name)
	if !ok {
		fmt.Fprintf(p.err, "healthrecords: there is no command %q\n\n", name)
		p.printCommands(p.err)
		return exitUsage
	}
	return p.report(c.run(p, args))
}

// report says why a command failed and returns the exit code.
func (p *program) report(err error) int {
	var code exit
	var wrong usage
	var mistaken mistakes
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return exitDone
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &mistaken):
		fmt.Fprintf(p.err, "healthrecords: the settings are not right:\n%v\n", mistaken)
		return exitUsage
	case errors.As(err, &wrong):
		fmt.Fprintf(p.err, "healthrecords: %v\n", wrong)
		return exitUsage
	}
	fmt.Fprintf(p.err, "healthrecords: %v\n", err)
	return exitNo
}

// flags parses a command's arguments, which take positional ones named so, and
// returns those.
func (p *program) flags(c string, args []string, positional []string, define func(*flag.FlagSet)) ([]string, error) {
	f := flag.NewFlagSet(c, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	if define != nil {
		define(f)
	}
	given, err := parseAnywhere(f, args)
	if errors.Is(err, flag.ErrHelp) {
		p.printHelp(c, f)
		return nil, err
	}
	if err != nil {
		return nil, usage(fmt.Sprintf("%s: %v; see: healthrecords %s --help", c, err, c))
	}
	if len(given) != len(positional) {
		known, _ := commandNamed(c)
		return nil, usage(strings.TrimSpace("write: healthrecords " + c + " " + known.args))
	}
	return given, nil
}

// counted is a number with what it counts, of which one or several may be.
func counted[N int | int64](n N, one, several string) string {
	if n == 1 {
		several = one
	}
	return fmt.Sprintf("%d %s", n, several)
}

// parseAnywhere parses flags that stand before, between or after positional
// arguments.
func parseAnywhere(f *flag.FlagSet, args []string) (positional []string, err error) {
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		if f.NArg() == 0 {
			return positional, nil
		}
		positional, args = append(positional, f.Arg(0)), f.Args()[1:]
	}
}

// configure reads the settings and starts the log.
func (p *program) configure() error {
	s, notices, err := readSettings(p.environ, p.terminal)
	for _, n := range notices {
		fmt.Fprintln(p.err, "healthrecords:", n)
	}
	if err != nil {
		return err
	}
	p.settings = s
	options := &slog.HandlerOptions{Level: s.LogLevel}
	if s.Lambda {
		options.ReplaceAttr = lambdacontext.ReplaceAttr // "timestamp" and "message", by which Lambda filters
	}
	var h slog.Handler = slog.NewTextHandler(p.err, options)
	if s.LogFormat == "json" {
		h = slog.NewJSONHandler(p.err, options)
	}
	if s.Lambda {
		h = invocationLog{h}
	}
	p.log = slog.New(h)
	return nil
}

// keys takes the keys that were not set from their files. Where there is no
// database yet, and the command may begin one, missing files are made; made
// tells that. A lost SECRET_KEY is made anew, and only by who needs it.
func (p *program) keys(begin bool) (made bool, err error) {
	isNew := false
	if begin {
		if isNew, err = p.isNew(); err != nil {
			return false, err
		}
	}
	if isNew {
		if err := p.wasThereOne(); err != nil {
			return false, err
		}
	}
	for _, k := range []struct {
		file      string
		key       *secret
		renewable bool
	}{
		{p.settings.DataKeyFile, &p.settings.DataKey, false},
		{filepath.Join(p.settings.DataDir, "secret.key"), &p.settings.SecretKey, true},
	} {
		if len(*k.key) > 0 {
			continue
		}
		_, err := os.Stat(k.file)
		missing := errors.Is(err, os.ErrNotExist)
		if missing && !k.renewable && !isNew {
			return made, p.noDataKey(k.file)
		}
		if missing && k.renewable && !begin {
			continue
		}
		text, fresh, err := keyFile(k.file)
		if err != nil {
			return made, err
		}
		*k.key, made = text, made || fresh
	}
	return made, nil
}

// isNew tells whether there is no database yet, or an empty one on PostgreSQL.
func (p *program) isNew() (bool, error) {
	if p.settings.SQLitePath == "" {
		return store.IsEmpty(p.ctx, p.storeOptions())
	}
	_, err := os.Stat(p.settings.SQLitePath)
	return errors.Is(err, os.ErrNotExist), nil
}

// wasThereOne refuses to begin a database where checkpoints tell of one: its
// disk may not be mounted.
func (p *program) wasThereOne() error {
	info, err := os.Stat(p.settings.AuditCheckpoints)
	if err != nil || info.Size() == 0 {
		return nil
	}
	if p.settings.SQLitePath == "" {
		return fmt.Errorf("%s is empty, but %s tells of a database: is DATABASE_URL the right one? Restore a backup, or move the checkpoints away to begin anew", p.settings.Postgres.Name(), p.settings.AuditCheckpoints)
	}
	return fmt.Errorf("%s is not there, but %s tells of a database: is its disk mounted? Restore a backup, or move the checkpoints away to begin anew", p.settings.SQLitePath, p.settings.AuditCheckpoints)
}

// noDataKey says which key is looked for, as far as it is known.
func (p *program) noDataKey(file string) error {
	wanted := "without the key that wrote the database it cannot be read"
	if ids, err := store.WantedDataKeys(p.ctx, p.storeOptions()); err == nil && len(ids) > 0 {
		wanted = "the database wants data key " + strings.Join(ids, " and ") + ", and cannot be read without it"
	}
	return fmt.Errorf("the key file %s is not there: put it back, or set DATA_KEY; %s", file, wanted)
}

// findDatabase returns ErrNoDatabase where SQLite's file is not there. That comes
// before a missing key: the command was run in the wrong directory, most likely.
func (p *program) findDatabase() error {
	if p.settings.SQLitePath == "" {
		return nil
	}
	if isNew, err := p.isNew(); err != nil || !isNew {
		return err
	}
	path, err := filepath.Abs(p.settings.SQLitePath)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w at %s: run this in the directory of the service, or set DATA_DIR or DATABASE_URL as for the service", store.ErrNoDatabase, path)
}

// open configures the program and opens the store. With begin, a database that
// is not there, or is empty, is made, and on SQLite one with an older schema
// brought up to date: PostgreSQL may be others' too, who are served meanwhile.
func (p *program) open(begin bool) (s *store.Store, madeKeys bool, err error) {
	if err := p.configure(); err != nil {
		return nil, false, err
	}
	return p.openStore(begin, begin && p.settings.SQLitePath != "")
}

// openStore opens the store of a program that is configured.
func (p *program) openStore(begin, migrate bool) (s *store.Store, madeKeys bool, err error) {
	if !begin {
		if err := p.findDatabase(); err != nil {
			return nil, false, err
		}
	}
	if madeKeys, err = p.keys(begin); err != nil {
		return nil, madeKeys, err
	}
	if begin {
		if err := makeDirectory(filepath.Dir(cmp.Or(p.settings.SQLitePath, p.settings.AuditCheckpoints))); err != nil {
			return nil, madeKeys, err
		}
	}
	o := p.storeOptions()
	o.Create, o.Migrate = begin, migrate
	s, err = store.Open(p.ctx, o)
	return s, madeKeys, err
}

func (p *program) storeOptions() store.Options {
	keys, _ := decodeKeys(p.settings.DataKey) // they were decoded when they were read
	return store.Options{
		URL:                string(p.settings.DatabaseURL),
		MaxConnections:     p.settings.DatabaseMaxConnections,
		Timeout:            p.settings.DatabaseTimeout,
		DataKeys:           keys,
		ReloadKeys:         p.reloadKeys,
		RegistrationClosed: !p.settings.RegistrationOpen,
		SessionLifetime:    p.settings.SessionLifetime,
		RefreshLifetime:    p.settings.RefreshTokenLifetime,
		IdlePatients:       p.settings.IdlePatients,
		IdleOthers:         p.settings.IdleOthers,
		RequireOTP:         p.settings.RequireOTP,
		Log:                p.log,
	}
}

// reloadKeys reads the data keys again, which another process may have changed.
func (p *program) reloadKeys() ([][]byte, error) {
	if p.settings.DataKeyFile == "" {
		return nil, errors.New("DATA_KEY is read once")
	}
	text, err := readKeyFile(p.settings.DataKeyFile)
	if err != nil {
		return nil, err
	}
	return decodeKeys(text)
}
