package store_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

// Who was erased since a backup was made does not come back with it, nor with
// the one that is restored after that.
func TestRestoreErasesAgain(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	ctx := t.Context()
	doc := p.doctor(p.staff("admin"), "doc")
	before := p.filled(doc, "erased-before")
	if err := p.ErasePatient(ctx, operator, before.Account, "test"); err != nil {
		t.Fatal(err)
	}
	first, _ := p.backup()
	gone, stays := p.filled(doc, "erased-since"), p.filled(doc, "stays")
	second, _ := p.backup()
	sealed := p.sealedOf(gone.Account)
	p.clock.Advance(time.Hour)
	const reason = "it asked for that in writing"
	if err := p.ErasePatient(ctx, operator, gone.Account, reason); err != nil {
		t.Fatal(err)
	}
	// Nobody without the keys can have others erased that way.
	p.exec(`INSERT INTO erasures (patient_id, erased_at, reason) SELECT $1, erased_at, reason FROM erasures WHERE patient_id = $2`, stays.Account, gone.Account)
	erased := p.rows(`SELECT patient_id, erased_at, reason FROM erasures WHERE patient_id <> $1 ORDER BY patient_id`, stays.Account)

	if r := p.restore(first); r.Erased != 0 {
		t.Errorf("Restore of a backup from before the patient came: erased %d again, want 0", r.Erased)
	}
	if got := p.rows(`SELECT patient_id, erased_at, reason FROM erasures ORDER BY patient_id`); fmt.Sprint(got) != fmt.Sprint(erased) {
		t.Error("the erasures are not remembered as they were")
	}
	if r := p.restore(second); r.Erased != 1 {
		t.Errorf("Restore of a backup with the patient in it: erased %d again, want 1", r.Erased)
	}
	disk := p.onDisk()
	for what, value := range sealed {
		wantWithout(t, what, value, disk)
	}
	wantTitles(t, "another patient", p.titles(p.actor("stays")), "second title of stays")
	if n := p.count(`SELECT COUNT(*) FROM erasures`); n != 2 {
		t.Errorf("there are %d erasures, want 2", n)
	}
	if n := p.count(`SELECT COUNT(*) FROM audit WHERE action = 'patient.erase' AND outcome = 'done'`); n != 2 {
		t.Errorf("the trail has %d erasures, want 2", n)
	}
	if n := p.count(`SELECT COUNT(*) FROM audit WHERE action = 'patient.erase' AND outcome <> 'done'`); n != 0 {
		t.Errorf("the trail has %d refused erasures, want none", n)
	}
	p.wantTrail()
}

// A patient who was erased is erased in an old backup too, once the data key of
// that time is destroyed.
func TestErasureReachesOldBackups(t *testing.T) {
	storetest.NeedsSQLite(t)
	f := newKeyFile("one")
	p := newPracticeWithKeyFile(t, f)
	gone := p.patient("gone")
	p.record(gone, "cough")
	old, _ := p.backup()
	if err := p.ErasePatient(t.Context(), operator, gone.Account, "test"); err != nil {
		t.Fatal(err)
	}
	p.rotate(f, "two")
	recent, _ := p.backup()
	f.keys = f.keys[:1] // the old one is destroyed
	o := store.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "health.db"), DataKeys: f.keys, Now: p.clock.Now}
	_, err := store.Restore(t.Context(), o, operator, old)
	wantErr(t, "Restore of the old backup", err, store.ErrDataKey)
	if _, err := store.Restore(t.Context(), o, operator, recent); err != nil {
		t.Errorf("Restore of the recent backup: error = %v, want nil", err)
	}
}

// A backup from before a rotation is good as long as its data key is held, and
// the restored database goes on with the newest.
func TestRestoreAfterARotation(t *testing.T) {
	storetest.NeedsSQLite(t)
	f := newKeyFile("one")
	p := newPracticeWithKeyFile(t, f)
	pat := p.patient("pat")
	p.record(pat, "before")
	file, _ := p.backup()
	p.rotate(f, "two")
	p.record(pat, "after")
	p.options.DataKeys, _ = f.read()
	p.restore(file)
	wantTitles(t, "restored", p.titles(p.actor("pat")), "before")
	p.wantKeys(keyState("two", false, true, 0), keyState("one", false, true, ownKeys+1))
	if _, err := p.RotateKeys(t.Context(), operator); err != nil {
		t.Errorf("RotateKeys error = %v, want nil", err)
	}
	p.options.DataKeys, p.options.ReloadKeys = [][]byte{dataKey("two")}, nil
	p.reopen()
	wantTitles(t, "with the new key alone", p.titles(p.actor("pat")), "before")
	p.wantTrail()
}
