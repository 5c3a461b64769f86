package store_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

// restore closes the store, restores a backup and opens the store again.
func (p *practice) restore(file string) store.Restored {
	p.t.Helper()
	p.shut()
	p.clock.Advance(time.Minute)
	r, err := store.Restore(p.t.Context(), p.options, operator, file)
	if err != nil {
		p.t.Fatalf("Restore error = %v, want nil", err)
	}
	p.open()
	return r
}

// titles are those of all records that someone may read.
func (p *practice) titles(a store.Actor) []string {
	p.t.Helper()
	list, err := p.Records(p.t.Context(), a, store.RecordFilter{}, store.Paging{Size: 100})
	if err != nil {
		p.t.Fatalf("Records error = %v, want nil", err)
	}
	titles := []string{}
	for _, r := range list.Items {
		titles = append(titles, r.Title)
	}
	slices.Sort(titles)
	return titles
}

func wantTitles(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: titles = %q, want %q", what, got, want)
	}
}

// wantNames checks which files lie beside a database that nobody has open.
func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	got := slices.Sorted(maps.Keys(files(t, dir)))
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("the files are %q, want %q", got, want)
	}
}

// opened opens another database with the options of the practice.
func (p *practice) opened(url string) *practice {
	p.t.Helper()
	other := &practice{t: p.t, clock: p.clock, options: p.options}
	other.options.URL = url
	other.open()
	p.t.Cleanup(other.shut)
	return other
}

// shut closes the store, if it is open.
func (p *practice) shut() {
	if p.Store != nil {
		p.Close()
		p.Store = nil
	}
}

func TestRestore(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	ctx := t.Context()
	doc := p.doctor(p.staff("admin"), "doc")
	pat := p.patient("pat", doc.Account)
	sent, err := p.ClaimMail(ctx, 10, time.Minute)
	if err != nil || len(sent) != 1 {
		t.Fatalf("ClaimMail = %d mails, %v, want 1", len(sent), err)
	}
	if err := p.MailSent(ctx, sent[0].ID); err != nil {
		t.Fatal(err)
	}
	p.patient("later", doc.Account) // its mail waits
	p.record(pat, "before")
	sessions := p.count(`SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL`)
	file, m := p.backup()
	p.record(pat, "after")

	r := p.restore(file)
	if fmt.Sprint(r.Manifest) != fmt.Sprint(m) {
		t.Error("Restored.Manifest is not the backup's")
	}
	if r.Sessions != int64(sessions) || r.Mails != 1 {
		t.Errorf("Restored = %d sessions, %d mails, want %d, 1", r.Sessions, r.Mails, sessions)
	}
	if _, err := p.Me(ctx, pat); err != store.ErrSession {
		t.Errorf("Me in a session from before: error = %v, want ErrSession", err)
	}
	pat = p.actor("pat")
	wantTitles(t, "after the restore", p.titles(pat), "before")
	p.clock.Advance(100 * time.Hour)
	if mails, err := p.ClaimMail(ctx, 10, time.Minute); len(mails) != 0 || err != nil {
		t.Errorf("ClaimMail after the restore = %d mails, %v, want none", len(mails), err)
	}
	if got := p.texts(`SELECT outcome FROM outbox ORDER BY id`); !slices.Equal(got, []string{"sent", "not sent: restored"}) {
		t.Errorf("outcomes of the mails = %q", got)
	}
	p.wantTrail()
	if got := p.texts(`SELECT action || ' ' || role || ' ' || outcome FROM audit WHERE seq = $1`, m.Trail.Count+1); !slices.Equal(got, []string{"database.restore operator done"}) {
		t.Errorf("the entry behind the backup's = %q, want the restore", got)
	}
	if _, err := p.VerifyTrail(ctx, []store.Checkpoint{m.Trail}); err != nil {
		t.Errorf("VerifyTrail with the backup's checkpoint: error = %v, want nil", err)
	}
	p.record(pat, "new")
	p.reopen()
	wantTitles(t, "after a restart", p.titles(p.actor("pat")), "before", "new")
	p.shut()
	wantNames(t, filepath.Dir(p.path()), "health.db", filepath.Base(r.Kept))
	kept := p.opened("sqlite:" + r.Kept)
	wantTitles(t, "what was there before", kept.titles(kept.actor("pat")), "after", "before")
}

// The drill: an empty machine, the two files and the key.
func TestRestoreOntoNothing(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	pat := p.patient("pat")
	p.record(pat, "before")
	file, _ := p.backup()
	p.shut()
	if err := os.RemoveAll(filepath.Dir(p.path())); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Dir(p.path()), 0o700); err != nil {
		t.Fatal(err)
	}
	o := p.options
	o.Create, o.Migrate = false, false
	r, err := store.Restore(t.Context(), o, operator, file)
	if err != nil || r.Kept != "" {
		t.Fatalf("Restore = kept %q, %v, want nothing kept, nil", r.Kept, err)
	}
	wantNames(t, filepath.Dir(p.path()), "health.db")
	if info, err := os.Stat(p.path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the database = %v, want 600", info.Mode().Perm())
	}
	p.options = o
	p.open()
	wantTitles(t, "after the restore", p.titles(p.actor("pat")), "before")
	p.wantTrail()
}

// alter changes one byte of a file in the middle of something.
func alter(t *testing.T, file string, something []byte) {
	t.Helper()
	content := readFile(t, file)
	at := strings.Index(string(content), string(something))
	if at < 0 {
		t.Fatal("what was to be altered is not in the backup")
	}
	content[at+len(something)/2] ^= 1
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// rewrite changes the manifest of a backup.
func rewrite(t *testing.T, file string, change func(*store.Manifest)) {
	t.Helper()
	var m store.Manifest
	if err := json.Unmarshal(readFile(t, store.ManifestName(file)), &m); err != nil {
		t.Fatal(err)
	}
	change(&m)
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(store.ManifestName(file), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// fit makes the manifest name the size and sum that the file has.
func fit(t *testing.T, file string) func(*store.Manifest) {
	return func(m *store.Manifest) {
		content := readFile(t, file)
		sum := sha256.Sum256(content)
		m.Size, m.SHA256 = int64(len(content)), hex.EncodeToString(sum[:])
	}
}

// Whatever is wrong with a backup, it is refused with the reason, and the
// database and all beside it stay as they are.
func TestRestoreRefuses(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	pat := p.patient("pat")
	r := p.record(pat, "before")
	file, _ := p.backup()
	p.record(pat, "after")
	second, _ := p.backup()
	sealed := p.texts(`SELECT content FROM records WHERE id = $1`, r.ID)[0]
	stranger := newPracticeWith(t, func(o *store.Options) { o.DataKeys = [][]byte{dataKey("another")} })
	foreign, _ := stranger.backup()
	twin, _ := newPractice(t).backup()
	sealer := p.Store
	p.shut()

	for _, c := range []struct {
		name   string
		from   string
		spoil  func(file string)
		want   error
		reason string
	}{
		{"no file", file, func(f string) { os.Remove(f) }, os.ErrNotExist, "no such file"},
		{"truncated", file, func(f string) { os.Truncate(f, 8192) }, store.ErrBackup, "truncated: 8192 bytes of"},
		{"empty", file, func(f string) { os.Truncate(f, 0) }, store.ErrBackup, "truncated: 0 bytes of"},
		{"longer", file, func(f string) { os.WriteFile(f, append(readFile(t, f), 0), 0o600) }, store.ErrBackup, "checksum differs"},
		{"a byte of a sealed value altered", file, func(f string) { alter(t, f, []byte(sealed)); wantSound(t, f) }, store.ErrBackup, "checksum differs"},
		{"altered, and the manifest with it", file, func(f string) { alter(t, f, []byte(sealed)); rewrite(t, f, fit(t, f)) }, store.ErrBackup, "manifest was altered"},
		{"no manifest", file, func(f string) { os.Remove(store.ManifestName(f)) }, store.ErrBackup, "manifest cannot be read"},
		{"manifest of another backup", file, func(f string) {
			os.WriteFile(store.ManifestName(f), readFile(t, store.ManifestName(second)), 0o600)
		}, store.ErrBackup, "truncated|checksum differs"},
		{"manifest altered", file, func(f string) { rewrite(t, f, func(m *store.Manifest) { m.Rows["records"]++ }) }, store.ErrBackup, "manifest was altered"},
		{"manifest that counts more", file, func(f string) {
			rewrite(t, f, func(m *store.Manifest) { m.Rows["records"]++; sealer.Seal(m) })
		}, store.ErrBackup, "records has 1 rows, not 2"},
		{"manifest of another trail", file, func(f string) {
			rewrite(t, f, func(m *store.Manifest) { m.Trail.Count++; sealer.Seal(m) })
		}, store.ErrBackup, "trail does not hold"},
		{"manifest that is none", file, func(f string) { os.WriteFile(store.ManifestName(f), []byte("{}\n"), 0o600) }, store.ErrBackup, "not the manifest of a backup"},
		{"manifest cut short", file, func(f string) { os.Truncate(store.ManifestName(f), 40) }, store.ErrBackup, "not the manifest of a backup"},
		{"newer", file, func(f string) { rewrite(t, f, func(m *store.Manifest) { m.Schema = 1000 }) }, store.ErrSchema, "step 1000"},
		{"no database", file, func(f string) {
			os.WriteFile(f, []byte(strings.Repeat("This is no database. ", 1000)), 0o600)
			rewrite(t, f, fit(t, f))
		}, store.ErrBackup, "not a database"},
		{"a page overwritten", file, func(f string) {
			content := readFile(t, f)
			copy(content[5*4096+8:], strings.Repeat("\xff", 3000))
			os.WriteFile(f, content, 0o600)
			rewrite(t, f, func(m *store.Manifest) { fit(t, f)(m); sealer.Seal(m) })
		}, store.ErrBackup, ""},
		{"another practice's", foreign, func(string) {}, store.ErrDataKey, "the backup is not good for these keys: wrong data key: it wants " + store.DataKeyID(dataKey("another"))},
		{"another practice's with the same key, and this one's manifest", twin, func(f string) {
			os.WriteFile(store.ManifestName(f), readFile(t, store.ManifestName(file)), 0o600)
			rewrite(t, f, fit(t, f))
		}, store.ErrBackup, "another practice's"},
	} {
		dir := filepath.Dir(p.path())
		before := files(t, dir)
		f := filepath.Join(t.TempDir(), "copy")
		os.WriteFile(f, readFile(t, c.from), 0o600)
		os.WriteFile(store.ManifestName(f), readFile(t, store.ManifestName(c.from)), 0o600)
		c.spoil(f)
		_, err := store.Restore(t.Context(), p.options, operator, f)
		wantErr(t, "Restore, "+c.name+",", err, c.want)
		if err != nil && !slices.ContainsFunc(strings.Split(c.reason, "|"), func(r string) bool { return strings.Contains(err.Error(), r) }) {
			t.Errorf("Restore, %s, error = %v, want one that says %q", c.name, err, c.reason)
		}
		wantSameFiles(t, dir, before)
	}
	_, err := store.Restore(t.Context(), p.options, pat, file)
	wantErr(t, "Restore by a patient", err, store.ErrForbidden)
	p.open()
	wantTitles(t, "after all refusals", p.titles(p.actor("pat")), "after", "before")
}

// wantSound checks that SQLite itself sees nothing wrong with a file.
func wantSound(t *testing.T, file string) {
	t.Helper()
	p := &practice{t: t, options: store.Options{URL: "sqlite:" + file}}
	if got := p.texts(`PRAGMA integrity_check`); !slices.Equal(got, []string{"ok"}) {
		t.Errorf("integrity_check = %q, want ok", got)
	}
}

// What was wrong with the database already when it was backed up is found too.
func TestRestoreRefusesWhatWasDamagedBefore(t *testing.T) {
	storetest.NeedsSQLite(t)
	for _, c := range []struct {
		name, damage string
		want         error
		reason       string
	}{
		{"an entry edited", `DROP TRIGGER audit_update; UPDATE audit SET actor = 'x' WHERE seq = 2`, store.ErrBackup, "trail does not hold: entry 0-2: edited"},
		{"an entry missing", `DROP TRIGGER audit_delete; DELETE FROM audit WHERE seq = 2`, store.ErrBackup, "trail does not hold"},
		{"a record missing", `DELETE FROM records`, store.ErrBackup, "trail does not hold"},
		{"a reference to nothing", `PRAGMA foreign_keys = off; UPDATE sessions SET account_id = 'x'`, store.ErrBackup, "not there"},
		{"an index without its rows", `CREATE INDEX broken ON audit (actor); PRAGMA writable_schema = on;
			UPDATE sqlite_master SET sql = 'CREATE INDEX broken ON audit (action)' WHERE name = 'broken'`, store.ErrBackup, "structure is damaged"},
		{"a newer schema", `INSERT INTO schema_steps (step, applied_at) VALUES (1000, '')`, store.ErrSchema, "step 1000"},
	} {
		p := newPractice(t)
		p.record(p.patient("pat"), "before")
		p.exec(c.damage)
		file, _ := p.backup()
		other := t.TempDir()
		o := p.options
		o.URL = "sqlite:" + filepath.Join(other, "health.db")
		_, err := store.Restore(t.Context(), o, operator, file)
		wantErr(t, "Restore, "+c.name+",", err, c.want)
		if err != nil && !strings.Contains(err.Error(), c.reason) {
			t.Errorf("Restore, %s, error = %v, want one that says %q", c.name, err, c.reason)
		}
		wantNames(t, other)
	}
}
