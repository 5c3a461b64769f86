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
	"time"

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

// What a lively practice has beside them.
const (
	perNote  = 5  // every fifth record has a note
	perChief = 20 // every twentieth patient is treated by this doctor too
	chief    = "chief"
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
	return append(os.Environ(), "DATA_DIR="+filepath.Join(o.dir, "service"), "DATABASE_URL="+o.databaseURL(), "LOG_FORMAT=json")
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
	if err := fillStore(ctx, s, o); err != nil {
		return err
	}
	return os.WriteFile(done, nil, 0o600)
}

func fillStore(ctx context.Context, s *store.Store, o *options) error {
	hash, err := auth.NewHasher(1, 1).Hash(ctx, password)
	if err != nil {
		return err
	}
	staff, err := signIn(ctx, s, "admin", 0)
	if err != nil {
		return err
	}
	f := &filler{s: s, staff: staff, hash: hash, lively: o.lively}
	patients := max(o.records/perPatient, 1)
	f.doctors = make([]store.Actor, (patients+perDoctor-1)/perDoctor)
	if o.lively { // the first, so that the newest doctors, whom lists begin with, are like all others
		if f.chief, err = f.doctor(ctx, chief, 0); err != nil {
			return err
		}
	}
	err = drive.Together(128, len(f.doctors), func(n int) (err error) {
		f.doctors[n], err = f.doctor(ctx, doctorName(n), n)
		return err
	})
	if err == nil {
		err = drive.Together(128, patients, func(n int) error { return f.patient(ctx, n) })
	}
	if err != nil {
		return err
	}
	return dropMail(ctx, s)
}

// filler makes the people of a practice and what they write.
type filler struct {
	s       *store.Store
	staff   store.Actor
	hash    string // of everybody's password
	doctors []store.Actor
	chief   store.Actor
	lively  bool
}

func (f *filler) doctor(ctx context.Context, name string, n int) (store.Actor, error) {
	first := "Dora"
	_, err := f.s.CreateDoctor(ctx, f.staff, &store.DoctorInput{User: store.UserInput{Username: &name, FirstName: &first, PasswordHash: f.hash}})
	if err != nil {
		return store.Actor{}, err
	}
	return signIn(ctx, f.s, name, n)
}

// patient makes a patient and its records.
func (f *filler) patient(ctx context.Context, n int) error {
	name, first, last := patientName(n), "Pat", "Example"
	doctor := f.doctors[n/perDoctor]
	treated := []string{doctor.Account}
	if f.lively && n%perChief == 0 {
		treated = append(treated, f.chief.Account)
	}
	if _, err := f.s.CreatePatient(ctx, f.staff, &store.PatientInput{User: store.UserInput{Username: &name, FirstName: &first, LastName: &last, PasswordHash: f.hash}, Doctors: &treated}); err != nil {
		return err
	}
	own, err := signIn(ctx, f.s, name, n)
	for i := 1; i <= perPatient && err == nil; i++ {
		title := recordTitle(n*perPatient + i - 1)
		var r store.Record
		r, err = f.s.CreateRecord(ctx, own, &store.RecordInput{Title: &title, Description: &recordText})
		if err == nil && f.lively && i%perNote == 0 {
			_, err = f.s.CreateNote(ctx, doctor, &store.NoteInput{Record: &r.ID, Text: &recordText})
		}
	}
	return err
}

// dropMail marks what the doctors would be told as sent: it would leave in the
// midst of what is measured.
func dropMail(ctx context.Context, s *store.Store) error {
	for {
		mails, err := s.ClaimMail(ctx, 1000, time.Hour)
		if err != nil || len(mails) == 0 {
			return err
		}
		err = drive.Together(128, len(mails), func(i int) error { return s.MailSent(ctx, mails[i].ID) })
		if err != nil {
			return err
		}
	}
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
