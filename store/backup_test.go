package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

var operator = store.Command("test")

// backup makes one in a directory of its own.
func (p *practice) backup() (file string, m store.Manifest) {
	p.t.Helper()
	file = filepath.Join(p.t.TempDir(), "backup")
	m, err := p.Backup(p.t.Context(), operator, file)
	if err != nil {
		p.t.Fatalf("Backup error = %v, want nil", err)
	}
	return file, m
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// wantWithout checks that none of the contents holds a secret of 12 bytes or
// more, as it is or as hexadecimal or base64 text.
func wantWithout(t *testing.T, what string, secret []byte, contents ...[]byte) {
	t.Helper()
	forms := [][]byte{secret, []byte(hex.EncodeToString(secret)), []byte(strings.ToUpper(hex.EncodeToString(secret)))}
	for shift := range 3 { // base64 of it, behind any other bytes
		padded := append(make([]byte, shift), secret...)
		text := base64.RawStdEncoding.EncodeToString(padded)
		inner := text[4*((shift+2)/3) : len(text)-2]
		forms = append(forms, []byte(inner), []byte(strings.NewReplacer("+", "-", "/", "_").Replace(inner)))
	}
	for _, content := range contents {
		for _, form := range forms {
			if bytes.Contains(content, form) {
				t.Errorf("%s is there, want it gone or never been", what)
				return
			}
		}
	}
}

// Everything that was acknowledged before a backup began is in it, whatever is
// written meanwhile, and the manifest says just what is in it.
func TestBackupUnderLoad(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	doc := p.doctor(p.staff("admin"), "doc")
	var acknowledged sync.Map // names
	var names atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	started := make(chan struct{}, 4)
	for w := range 4 {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				name := fmt.Sprintf("patient-%d-%d", w, i)
				if _, err := p.CreatePatient(ctx, store.Actor{}, &store.PatientInput{User: user(name), Doctors: &[]string{doc.Account}}); err == nil {
					acknowledged.Store(name, true)
					names.Add(1)
				}
				if i == 3 {
					started <- struct{}{}
				}
			}
		})
	}
	for range 4 {
		<-started
	}
	before := []string{}
	acknowledged.Range(func(name, _ any) bool { before = append(before, name.(string)); return true })
	file, m := p.backup()
	stop()
	writers.Wait()

	if int(names.Load()) < len(before) || m.Rows["accounts"] < int64(len(before))+2 {
		t.Errorf("Rows[accounts] = %d, want at least %d", m.Rows["accounts"], len(before)+2)
	}
	restored := p.restoredElsewhere(file)
	for _, name := range before {
		restored.actor(name)
	}
	restored.wantTrail()
	if head := p.texts(`SELECT mac FROM audit WHERE lane = $1 AND seq = $2`, m.Trail.Lane, m.Trail.Count); len(head) != 1 || fmt.Sprintf("%x", head[0]) != m.Trail.Head {
		t.Errorf("Trail.Head = %s, want that of entry %d, %s", m.Trail.Head, m.Trail.Count, head)
	}
	if m.Trail.Count != m.Rows["audit"] {
		t.Errorf("Trail.Count = %d, want %d", m.Trail.Count, m.Rows["audit"])
	}
}

// restoredElsewhere restores a backup where nothing was before.
func (p *practice) restoredElsewhere(file string) *practice {
	p.t.Helper()
	database, o := filepath.Join(p.t.TempDir(), "health.db"), p.options
	o.URL = "sqlite:" + database
	if _, err := store.Restore(p.t.Context(), o, operator, file); err != nil {
		p.t.Fatalf("Restore error = %v, want nil", err)
	}
	return p.opened("sqlite:" + database)
}

func TestBackupIsTwoFilesWithoutAKey(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	pat := p.patient("pat")
	p.record(pat, "a dry cough at night")
	file, m := p.backup()
	copied, manifest := readFile(t, file), readFile(t, file+".manifest")
	if n := len(files(t, filepath.Dir(file))); n != 2 {
		t.Errorf("Backup made %d files, want 2", n)
	}
	for _, name := range []string{file, file + ".manifest"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode of %s = %v, want 600", filepath.Base(name), info.Mode().Perm())
		}
	}
	wantWithout(t, "the data key", dataKey("one"), copied, manifest)
	wantWithout(t, "a title", []byte("a dry cough at night"), copied, manifest)
	wantWithout(t, "a name", []byte("First of pat"), copied, manifest)

	var written store.Manifest
	if err := json.Unmarshal(manifest, &written); err != nil || fmt.Sprint(written) != fmt.Sprint(m) {
		t.Errorf("the manifest is not what Backup returned: %v", err)
	}
	sum := sha256.Sum256(copied)
	if m.Size != int64(len(copied)) || m.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("Size, SHA256 = %d, %s, want %d, %x", m.Size, m.SHA256, len(copied), sum)
	}
	if len(m.DataKeys) != 1 || m.DataKeys[0] != store.DataKeyID(dataKey("one")) {
		t.Errorf("DataKeys = %v, want the one", m.DataKeys)
	}
	if m.Schema != p.count(`SELECT MAX(step) FROM schema_steps`) || m.Made != store.InstantOf(p.clock.Now()) {
		t.Errorf("Schema, Made = %d, %s", m.Schema, m.Made)
	}
	for table, n := range m.Rows {
		if table == "audit" || table == "audit_actors" || table == "milestones" {
			continue // the backup itself is there
		}
		if want := p.count(`SELECT COUNT(*) FROM ` + table); n != int64(want) {
			t.Errorf("Rows[%s] = %d, want %d", table, n, want)
		}
	}
	if m.Rows["records"] != 1 || m.Rows["accounts"] != 1 {
		t.Errorf("Rows = %v, want an account and a record", m.Rows)
	}
}

func TestLastBackup(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	if at, err := p.LastBackup(t.Context()); at != "" || err != nil {
		t.Errorf("LastBackup without one = %q, %v, want none", at, err)
	}
	for range 2 {
		p.clock.Advance(3600e9)
		_, m := p.backup()
		if at, err := p.LastBackup(t.Context()); at != m.Made || err != nil {
			t.Errorf("LastBackup = %q, %v, want %q", at, err, m.Made)
		}
	}
	if n := p.count(`SELECT COUNT(*) FROM audit WHERE action = 'database.backup' AND outcome = 'done' AND role = 'operator'`); n != 2 {
		t.Errorf("the trail has %d backups, want 2", n)
	}
}

func TestBackupReplacesNothing(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	for _, there := range []string{"backup", "backup.manifest"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, there), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := files(t, dir)
		_, err := p.Backup(t.Context(), operator, filepath.Join(dir, "backup"))
		wantErr(t, "Backup over "+there, err, fs.ErrExist)
		wantSameFiles(t, dir, before)
	}
}

// A backup that fails, or that nobody may make, leaves no file.
func TestBackupThatFailsLeavesNothing(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	admin := p.staff("admin")
	pat := p.patient("pat")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name  string
		ctx   context.Context
		actor store.Actor
		want  error
	}{
		{"by a patient", t.Context(), pat, store.ErrForbidden},
		{"by staff", t.Context(), admin, store.ErrForbidden},
		{"by nobody", t.Context(), store.Actor{}, store.ErrForbidden},
		{"cancelled", cancelled, operator, context.Canceled},
	} {
		dir := t.TempDir()
		_, err := p.Backup(c.ctx, c.actor, filepath.Join(dir, "backup"))
		wantErr(t, "Backup "+c.name, err, c.want)
		wantSameFiles(t, dir, nil)
	}
	if n := p.count(`SELECT COUNT(*) FROM audit WHERE action = 'database.backup' AND outcome = 'forbidden'`); n != 3 {
		t.Errorf("the trail has %d refused backups, want 3", n)
	}

	// Nor does one that could not be entered in the trail.
	p.refuse("audit", `NEW.action = 'database.backup'`)
	dir := t.TempDir()
	if _, err := p.Backup(t.Context(), operator, filepath.Join(dir, "backup")); err == nil {
		t.Error("Backup without an entry in the trail: error = nil, want one")
	}
	wantSameFiles(t, dir, nil)
	if _, err := p.Backup(t.Context(), operator, filepath.Join(dir, "missing", "backup")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Backup into a directory that is not there: error = %v, want that", err)
	}
}
