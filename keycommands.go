package main

import (
	"errors"
	"flag"
	"fmt"
	"time"

	"healthrecords/store"
)

// keysCommand shows the data keys, or changes to a new one.
func keysCommand(p *program, args []string) error {
	given, err := p.flags("keys", args, []string{"what"}, nil)
	if err != nil {
		return err
	}
	if given[0] != "status" && given[0] != "rotate" {
		return usage("keys: say status or rotate")
	}
	s, _, err := p.open(false)
	if err != nil {
		return err
	}
	defer s.Close()
	if given[0] == "rotate" {
		err = p.rotateKeys(s)
	}
	if err == nil {
		err = p.showKeys(s)
	}
	return err
}

func (p *program) showKeys(s *store.Store) error {
	keys, err := s.DataKeys(p.ctx)
	if err != nil {
		return err
	}
	for i, k := range keys {
		state := "in use"
		switch {
		case !k.Retired.IsZero():
			state = "retired since " + k.Retired.Format(time.DateOnly)
		case i == 0:
			state = "current"
		}
		if !k.Held {
			state += ", not held here"
		}
		fmt.Fprintf(p.out, "%s  since %s (%d days)  wraps %d  %s\n", k.ID, k.Created.Format(time.DateOnly), int(s.Now().Sub(k.Created).Hours()/24), k.Wraps, state)
	}
	return nil
}

// rotateKeys makes a new data key, unless one was made before that does not
// yet wrap everything, and wraps everything by it.
func (p *program) rotateKeys(s *store.Store) error {
	actor := store.Command("keys rotate")
	if err := s.AddDataKey(p.ctx, actor, p.addDataKey); err != nil {
		return err
	}
	n, err := s.RotateKeys(p.ctx, actor)
	if err != nil {
		return fmt.Errorf("%d keys were wrapped anew, then: %w; call this again to go on", n, err)
	}
	fmt.Fprintf(p.err, `%d keys were wrapped anew. The old data key is needed only for backups made before now:
once those are gone, take it, the later one, out of the key file or DATA_KEY. Copy the new key to a safe place now.
`, n)
	return nil
}

// addDataKey puts a new key into the key file.
func (p *program) addDataKey() error {
	if p.settings.DataKeyFile == "" {
		return errors.New("DATA_KEY holds no newer key: set DATA_KEY to a new key, a comma and the old key, restart the service, and call this again; make one with: openssl rand -base64 32")
	}
	return addKey(p.settings.DataKeyFile)
}

// eraseCommand destroys what is known of a patient.
func eraseCommand(p *program, args []string) error {
	var reason string
	given, err := p.flags("erase", args, []string{"patient", "id"}, func(f *flag.FlagSet) {
		f.StringVar(&reason, "reason", "", "why; kept sealed (needed)")
	})
	if err != nil {
		return err
	}
	if given[0] != "patient" || reason == "" {
		return usage(`erase: say erase patient ID --reason "…"`)
	}
	s, _, err := p.open(false)
	if err != nil {
		return err
	}
	defer s.Close()
	err = s.ErasePatient(p.ctx, store.Command("erase patient"), given[1], reason)
	if errors.Is(err, store.ErrNotFound) {
		return errors.New("there is no patient with that id; if one was erased before, its last traces are gone now")
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(p.out, `The patient's key and everything that it sealed are destroyed; that this was done stays in the trail.
Backups made before now still hold the key, wrapped by the data key of their time. To erase the patient there too:
healthrecords keys rotate, make a new backup, and destroy the older backups or the old data key.`)
	return nil
}
