package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"healthrecords/store"
)

func backupCommand(p *program, args []string) error {
	given, err := p.flags("backup", args, []string{"file"}, nil)
	if err != nil {
		return err
	}
	s, _, err := p.open(false)
	if err != nil {
		return err
	}
	defer s.Close()
	m, err := s.Backup(p.ctx, store.Command("backup"), given[0])
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w; a backup replaces nothing", err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s: %d bytes, %d patients, doctors and staff, %d records, %d entries in the trail\n",
		given[0], m.Size, m.Rows["accounts"], m.Rows["records"], m.Entries())
	fmt.Fprintf(p.err, "Keep %s beside it. To read them, data key %s is needed; it is not in them.\n",
		store.ManifestName(given[0]), strings.Join(m.DataKeys, " and "))
	return nil
}

func restoreCommand(p *program, args []string) error {
	given, err := p.flags("restore", args, []string{"file"}, nil)
	if err != nil {
		return err
	}
	if err := p.configure(); err != nil {
		return err
	}
	if _, err := p.keys(false); err != nil {
		return err
	}
	if err := makeDirectory(filepath.Dir(p.settings.SQLitePath)); err != nil {
		return err
	}
	r, err := store.Restore(p.ctx, p.storeOptions(), store.Command("restore"), given[0])
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "The backup of %s is in place: %d records, %d entries in the trail.\n", r.Manifest.Made, r.Manifest.Rows["records"], r.Manifest.Entries())
	fmt.Fprintf(p.out, "%s ended. %s that waited will not be sent.\n", counted(r.Sessions, "session was", "sessions were"), counted(r.Mails, "mail", "mails"))
	if r.Erased > 0 {
		fmt.Fprintf(p.out, "%s been erased since the backup was made, and erased again now.\n", counted(r.Erased, "patient had", "patients had"))
	}
	if r.Kept != "" {
		fmt.Fprintf(p.out, "What was there before lies in %s.\n", r.Kept)
	}
	return p.setCheckpointsAside()
}

// setCheckpointsAside keeps the checkpoints of the database that was replaced:
// the restored trail is shorter than they say.
func (p *program) setCheckpointsAside() error {
	file := p.settings.AuditCheckpoints
	aside := file + ".before-" + time.Now().UTC().Format("20060102T150405Z")
	err := os.Rename(file, aside)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		fmt.Fprintf(p.out, "The checkpoints until now lie in %s.\n", aside)
	}
	return err
}
