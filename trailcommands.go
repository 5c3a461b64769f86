package main

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"healthrecords/handlers"
	"healthrecords/store"
)

// auditCommand checks or exports the audit trail.
func auditCommand(p *program, args []string) error {
	var since, format string
	given, err := p.flags("audit", args, []string{"what"}, func(f *flag.FlagSet) {
		f.StringVar(&since, "since", "", "with verify: a file of checkpoints; AUDIT_CHECKPOINTS when not given")
		f.StringVar(&format, "format", "ndjson", "with export: ndjson or csv")
	})
	if err != nil {
		return err
	}
	if what := given[0]; what != "verify" && what != "export" || format != "ndjson" && format != "csv" {
		return usage("audit: say verify or export; --format is ndjson or csv")
	}
	s, _, err := p.open(false)
	if err != nil {
		return err
	}
	defer s.Close()
	if given[0] == "export" {
		return p.exportTrail(s, format)
	}
	return p.verifyTrail(s, since)
}

func (p *program) verifyTrail(s *store.Store, since string) error {
	file := cmp.Or(since, p.settings.AuditCheckpoints)
	checkpoints, err := readCheckpoints(file)
	if errors.Is(err, fs.ErrNotExist) && since == "" {
		err = nil // the service has not been started yet
	}
	if err != nil {
		return err
	}
	report, err := s.VerifyTrail(p.ctx, checkpoints)
	var bent *store.TrailError
	if errors.As(err, &bent) {
		fmt.Fprintf(p.out, "The trail does not hold. %v\n", bent)
		return exit(exitNo)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "The trail holds: %d entries", report.Entries)
	if open := report.Entries - report.Anchored; open > 0 {
		fmt.Fprintf(p.out, ", the last %d not anchored: no checkpoint in %s reaches further", open, file)
	}
	fmt.Fprintln(p.out, ".")
	return nil
}

// exportTrail writes every entry, oldest first.
func (p *program) exportTrail(s *store.Store, format string) error {
	write, flush := writeNDJSON(p.out)
	if format == "csv" {
		write, flush = writeCSV(p.out)
	}
	err := s.ExportTrail(p.ctx, store.Command("audit export"), write)
	if cut := flush(); err == nil {
		err = cut
	}
	return err
}

// writeNDJSON writes an entry a line, as the API shows it.
func writeNDJSON(out io.Writer) (write func(store.Event) error, flush func() error) {
	lines := bufio.NewWriter(out)
	encoder := json.NewEncoder(lines)
	encoder.SetEscapeHTML(false)
	return func(e store.Event) error { return encoder.Encode(handlers.ViewEvent(e)) }, lines.Flush
}

// writeCSV writes a line of names, those of the API, and an entry a line.
func writeCSV(out io.Writer) (write func(store.Event) error, flush func() error) {
	w := csv.NewWriter(out)
	_ = w.Write([]string{"id", "at", "action", "outcome", "role", "actor", "object", "version", "patients", "fields", "address", "request"}) // flush returns the error
	write = func(e store.Event) error {
		row := []string{e.ID, string(e.At), string(e.Action), string(e.Outcome), string(e.Role), e.Actor, e.Object, "",
			strings.Join(e.Patients, " "), strings.Join(e.Fields, " "), e.Address, e.Request}
		if e.Version > 0 {
			row[7] = strconv.Itoa(e.Version)
		}
		for i := range row {
			row[i] = noFormula(row[i])
		}
		return w.Write(row)
	}
	return write, func() error { w.Flush(); return w.Error() }
}

// noFormula keeps a spreadsheet from taking a cell for a formula.
func noFormula(cell string) string {
	if cell != "" && strings.Contains("=+-@\t\r", cell[:1]) {
		return "'" + cell
	}
	return cell
}
