package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"healthrecords/auth"
	"healthrecords/bench/drive"
	"healthrecords/store"
)

// What the rows of both databases look like; bench/bare says the same.
const (
	perPatient = 50
	perDoctor  = 40
	password   = "a password of some length"
)

var recordText = strings.TrimSpace(strings.Repeat("Blood pressure 128 over 82, pulse regular. ", 10))

func recordTitle(n int) string { return fmt.Sprintf("Check-up %09d", n) }
func patientName(n int) string { return fmt.Sprintf("patient%06d", n) }
func doctorName(n int) string  { return fmt.Sprintf("doctor%06d", n) }

// databaseURL is where the service's data lies.
func (o *options) databaseURL() string {
	if o.database != "sqlite" {
		return o.database
	}
	return "sqlite:" + filepath.Join(o.dir, "service", "health.db")
}

// environ is what the service's program is started with.
func (o *options) environ() []string {
	return append(os.Environ(), "DATA_DIR="+filepath.Join(o.dir, "service"), "DATABASE_URL="+o.databaseURL(),
		"LISTEN=127.0.0.1:"+servicePort, "LOG_FORMAT=json")
}

// fill makes the service's accounts and records, unless it was done before. The
// program makes keys and database; the rest goes through the store, because a
// password hashed for each of thousands would take most of the time.
func fill(ctx context.Context, o *options) error {
	done := filepath.Join(o.dir, "service", "filled")
	if _, err := os.Stat(done); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	begin := exec.CommandContext(ctx, filepath.Join(o.dir, "healthrecords"), "createsuperuser", "--username", "admin", "--email", "admin@example.org", "--password-stdin")
	begin.Env, begin.Stdin, begin.Stderr = o.environ(), strings.NewReader(password), os.Stderr
	if err := begin.Run(); err != nil {
		return fmt.Errorf("createsuperuser: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(o.dir, "service", "data.key"))
	if err != nil {
		return err
	}
	key, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, store.Options{URL: o.databaseURL(), DataKeys: [][]byte{key}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := fillStore(ctx, s, o.records); err != nil {
		return err
	}
	return os.WriteFile(done, nil, 0o600)
}

func fillStore(ctx context.Context, s *store.Store, records int) error {
	hash, err := auth.NewHasher(1, 1).Hash(ctx, password)
	if err != nil {
		return err
	}
	staff, err := signIn(ctx, s, "admin", 0)
	if err != nil {
		return err
	}
	patients := max(records/perPatient, 1)
	doctors := make([]string, (patients+perDoctor-1)/perDoctor)
	err = drive.Together(128, len(doctors), func(n int) error {
		name, first := doctorName(n), "Dora"
		d, err := s.CreateDoctor(ctx, staff, &store.DoctorInput{User: store.UserInput{Username: &name, FirstName: &first, PasswordHash: hash}})
		doctors[n] = d.ID
		return err
	})
	if err != nil {
		return err
	}
	return drive.Together(128, patients, func(n int) error {
		name, first, last := patientName(n), "Pat", "Example"
		treated := []string{doctors[n/perDoctor]}
		if _, err := s.CreatePatient(ctx, staff, &store.PatientInput{User: store.UserInput{Username: &name, FirstName: &first, LastName: &last, PasswordHash: hash}, Doctors: &treated}); err != nil {
			return err
		}
		own, err := signIn(ctx, s, name, n)
		for i := 0; i < perPatient && err == nil; i++ {
			title := recordTitle(n*perPatient + i)
			_, err = s.CreateRecord(ctx, own, &store.RecordInput{Title: &title, Description: &recordText})
		}
		return err
	})
}

// signIn opens a session for somebody whose password is known to be right.
// Each comes from an address of its own, for which few may try at once.
func signIn(ctx context.Context, s *store.Store, name string, n int) (store.Actor, error) {
	from := store.Actor{Address: fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)}
	c, err := s.BeginSignIn(ctx, from, name, store.Device{})
	if err != nil {
		return store.Actor{}, err
	}
	g, err := s.SignIn(ctx, from, c, store.SignInInput{Right: true})
	return store.Actor{Account: g.Account, Session: g.Session}, err
}
