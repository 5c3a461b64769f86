package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

// keyFile stands for the file that all processes read the data keys from.
type keyFile struct {
	mu   sync.Mutex
	keys [][]byte
}

func newKeyFile(names ...string) *keyFile {
	f := &keyFile{}
	for _, name := range names {
		f.keys = append(f.keys, dataKey(name))
	}
	return f
}

func (f *keyFile) read() ([][]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([][]byte(nil), f.keys...), nil
}

// adding returns what puts a key before the others.
func (f *keyFile) adding(name string) func() error {
	return func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.keys = append([][]byte{dataKey(name)}, f.keys...)
		return nil
	}
}

// newPracticeWithKeyFile reads its data keys from f, as its options say.
func newPracticeWithKeyFile(t *testing.T, f *keyFile) *practice {
	t.Helper()
	return newPracticeWith(t, func(o *store.Options) {
		o.DataKeys, _ = f.read()
		o.ReloadKeys = f.read
	})
}

func keyID(name string) string { return store.DataKeyID(dataKey(name)) }

// rotate changes to a new data key.
func (p *practice) rotate(f *keyFile, name string) int {
	p.t.Helper()
	if err := p.AddDataKey(p.t.Context(), operator, f.adding(name)); err != nil {
		p.t.Fatalf("AddDataKey error = %v, want nil", err)
	}
	n, err := p.RotateKeys(p.t.Context(), operator)
	if err != nil {
		p.t.Fatalf("RotateKeys error = %v, want nil", err)
	}
	return n
}

// wantKeys checks what the database knows of the data keys, newest first: name,
// whether it is retired, how many keys it wraps.
func (p *practice) wantKeys(want ...string) {
	p.t.Helper()
	keys, err := p.DataKeys(p.t.Context())
	if err != nil {
		p.t.Fatalf("DataKeys error = %v, want nil", err)
	}
	var got []string
	for _, k := range keys {
		got = append(got, fmt.Sprintf("%s retired=%t held=%t wraps=%d", k.ID, !k.Retired.IsZero(), k.Held, k.Wraps))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		p.t.Errorf("DataKeys = %q, want %q", got, want)
	}
}

func keyState(name string, retired, held bool, wraps int) string {
	return fmt.Sprintf("%s retired=%t held=%t wraps=%d", keyID(name), retired, held, wraps)
}

const ownKeys = 3 // of the service: trail, names, general

func TestRotateKeys(t *testing.T) {
	f := newKeyFile("one")
	p := newPracticeWithKeyFile(t, f)
	doc := p.doctor(p.staff("admin"), "doc")
	pat := p.patient("pat", doc.Account)
	r := p.record(pat, "cough")
	p.note(doc, r.ID, "rest")
	const accounts = 3
	p.wantKeys(keyState("one", false, true, ownKeys+accounts))
	contents := p.texts(`SELECT content FROM records UNION SELECT content FROM notes UNION SELECT profile FROM accounts`)
	wrapped := p.texts(`SELECT wrapped_key FROM accounts UNION SELECT wrapped FROM service_keys`)

	if n := p.rotate(f, "two"); n != ownKeys+accounts {
		t.Errorf("RotateKeys = %d, want %d", n, ownKeys+accounts)
	}
	p.wantKeys(keyState("two", false, true, ownKeys+accounts), keyState("one", true, true, 0))
	if got := p.texts(`SELECT content FROM records UNION SELECT content FROM notes UNION SELECT profile FROM accounts`); fmt.Sprint(got) != fmt.Sprint(contents) {
		t.Error("what the keys seal was rewritten, want it left alone")
	}
	for _, old := range wrapped {
		if n := p.count(`SELECT (SELECT COUNT(*) FROM accounts WHERE wrapped_key = $1) + (SELECT COUNT(*) FROM service_keys WHERE wrapped = $1)`, []byte(old)); n != 0 {
			t.Error("a key is wrapped as before, want it anew")
		}
	}
	if n, err := p.RotateKeys(t.Context(), operator); n != 0 || err != nil {
		t.Errorf("RotateKeys again = %d, %v, want 0, nil", n, err)
	}
	if n := p.count(`SELECT COUNT(*) FROM audit WHERE action = 'keys.rotate' AND outcome = 'done' AND role = 'operator'`); n == 0 {
		t.Error("the trail has no entry of the rotation")
	}
	p.wantTrail()

	o := p.options
	o.DataKeys, o.ReloadKeys = [][]byte{dataKey("one")}, nil
	p.shut()
	err := wantOpenRefused(t, o, store.ErrDataKey)
	if err != nil && !strings.Contains(err.Error(), "wants "+keyID("two")+", and there is "+keyID("one")) {
		t.Errorf("Open with the old key alone: error = %v, want one that names both keys", err)
	}
	for _, keys := range [][]string{{"two"}, {"two", "one"}, {"one", "two"}} {
		p.options.DataKeys, p.options.ReloadKeys = newKeyFile(keys...).keys, nil
		p.open()
		wantTitles(t, fmt.Sprintf("with %q", keys), p.titles(p.actor("doc")), "cough")
		p.patient("new with " + strings.Join(keys, "+"))
		p.shut()
	}
	p.open()
	p.wantKeys(keyState("two", false, true, ownKeys+accounts+3), keyState("one", true, true, 0))
}

// Both keys come from the settings, as with DATA_KEY in the environment.
func TestRotateKeysThatWereGiven(t *testing.T) {
	p := newPractice(t)
	p.record(p.patient("pat"), "cough")
	p.options.DataKeys = [][]byte{dataKey("two"), dataKey("one")}
	p.reopen()
	p.wantKeys(keyState("two", false, true, 0), keyState("one", false, true, ownKeys+1))
	p.patient("new") // is wrapped by the new one already
	err := p.AddDataKey(t.Context(), operator, func() error { return errors.New("there is one already") })
	if err != nil {
		t.Errorf("AddDataKey beside an unfinished rotation: error = %v, want nil and no key added", err)
	}
	if n, err := p.RotateKeys(t.Context(), operator); n != ownKeys+1 || err != nil {
		t.Errorf("RotateKeys = %d, %v, want %d, nil", n, err, ownKeys+1)
	}
	p.options.DataKeys = p.options.DataKeys[:1]
	p.reopen()
	p.wantKeys(keyState("two", false, true, ownKeys+2), keyState("one", true, false, 0))
	wantTitles(t, "with the new key alone", p.titles(p.actor("pat")), "cough")
}

func TestRotateKeysIsForTheOperator(t *testing.T) {
	f := newKeyFile("one")
	p := newPracticeWithKeyFile(t, f)
	for _, a := range []store.Actor{p.staff("admin"), p.patient("pat"), {}} {
		err := p.AddDataKey(t.Context(), a, f.adding("two"))
		wantErr(t, "AddDataKey", err, store.ErrForbidden)
		_, err = p.RotateKeys(t.Context(), a)
		wantErr(t, "RotateKeys", err, store.ErrForbidden)
	}
	p.wantKeys(keyState("one", false, true, ownKeys+2))
	if keys, _ := f.read(); len(keys) != 1 {
		t.Errorf("the key file holds %d keys, want 1", len(keys))
	}
}

// Whatever goes wrong while a key is added, the database goes on with the old.
func TestAddDataKeyThatFails(t *testing.T) {
	f := newKeyFile("one")
	p := newPracticeWithKeyFile(t, f)
	full := errors.New("no space left")
	err := p.AddDataKey(t.Context(), operator, func() error { return full })
	wantErr(t, "AddDataKey", err, full)
	p.patient("pat")
	p.wantKeys(keyState("one", false, true, ownKeys+1))

	p.options.ReloadKeys = nil
	p.reopen()
	if err := p.AddDataKey(t.Context(), operator, f.adding("two")); err == nil {
		t.Error("AddDataKey without ReloadKeys: error = nil, want one")
	}
	if keys, _ := f.read(); len(keys) != 1 {
		t.Errorf("the key file holds %d keys, want 1: nobody could read another", len(keys))
	}
}

// Two who rotate at once add one key between them: a key that overwrote
// another in the file would be lost with all that it wraps.
func TestAddDataKeyAtOnce(t *testing.T) {
	f := newKeyFile("one")
	p := newPracticeWithKeyFile(t, f)
	p.record(p.patient("pat"), "cough")
	stores := []*practice{p, p.opened(p.options.URL)}
	together(2, func(i int) {
		if err := stores[i].AddDataKey(t.Context(), operator, f.adding(fmt.Sprintf("two of %d", i))); err != nil {
			t.Errorf("AddDataKey error = %v, want nil", err)
		}
		if _, err := stores[i].RotateKeys(t.Context(), operator); err != nil {
			t.Errorf("RotateKeys error = %v, want nil", err)
		}
	})
	keys, _ := f.read()
	for _, s := range stores {
		held, err := s.DataKeys(t.Context())
		if err != nil || len(held) != len(keys) {
			t.Errorf("DataKeys = %d, %v, want the %d of the file", len(held), err, len(keys))
		}
		for i, k := range held {
			if k.Held != true || k.Retired.IsZero() != (i == 0) {
				t.Errorf("key %d: held %t, retired %v; want all held, and all but the first retired", i, k.Held, k.Retired)
			}
		}
		wantTitles(t, "afterwards", s.titles(s.actor("pat")), "cough")
	}
}

// A key that is added when the clock was put back is the newest all the same.
func TestNewestDataKeyWhenTheClockGoesBack(t *testing.T) {
	f := newKeyFile("one")
	p := newPracticeWithKeyFile(t, f)
	p.patient("pat")
	p.clock.Advance(-48 * time.Hour)
	p.rotate(f, "two")
	p.wantKeys(keyState("two", false, true, ownKeys+1), keyState("one", true, true, 0))
	p.rotate(f, "three") // at the same instant
	p.wantKeys(keyState("three", false, true, ownKeys+1), keyState("two", true, true, 0), keyState("one", true, true, 0))
}

// A store that cannot learn the new key refuses to begin what it could not
// open, and loses nothing.
func TestStoreWithoutTheNewKey(t *testing.T) {
	f := newKeyFile("one")
	p := newPracticeWithKeyFile(t, f)
	pat := p.patient("pat")
	p.options.ReloadKeys = nil
	old := p.opened(p.options.URL)
	if err := p.AddDataKey(t.Context(), operator, f.adding("two")); err != nil {
		t.Fatal(err)
	}
	_, err := old.CreatePatient(t.Context(), store.Actor{}, &store.PatientInput{User: user("new")})
	wantErr(t, "CreatePatient", err, store.ErrDataKey)
	if err := old.Ready(t.Context()); err == nil || err.Error() != "keys" {
		t.Errorf("Ready error = %v, want keys", err)
	}
	if c, err := p.BeginSignIn(t.Context(), store.Actor{}, "new", store.Device{}); c.Account != "" || err != nil {
		t.Errorf("Credentials of who could not register = %q, %v, want none", c.Account, err)
	}
	if _, err := p.RotateKeys(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Patient(t.Context(), pat, pat.Account); err == nil {
		t.Error("Patient by a store without the key: error = nil, want one")
	}
	if _, err := p.Patient(t.Context(), pat, pat.Account); err != nil {
		t.Errorf("Patient by the other store: error = %v, want nil", err)
	}
}

func TestWantedDataKeys(t *testing.T) {
	p := newPractice(t)
	p.patient("pat")
	p.options.DataKeys = [][]byte{dataKey("two"), dataKey("one")}
	p.reopen()
	o := store.Options{URL: p.options.URL}
	want := []string{keyID("one"), keyID("two")}
	if want[0] > want[1] {
		want[0], want[1] = want[1], want[0]
	}
	if got, err := store.WantedDataKeys(t.Context(), o); fmt.Sprint(got) != fmt.Sprint(want) || err != nil {
		t.Errorf("WantedDataKeys = %q, %v, want %q", got, err, want)
	}
	if _, err := p.RotateKeys(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	p.shut()
	if got, err := store.WantedDataKeys(t.Context(), o); len(got) != 1 || got[0] != keyID("two") || err != nil {
		t.Errorf("WantedDataKeys after the rotation = %q, %v, want the new one", got, err)
	}
	if storetest.OnPostgres() {
		return
	}
	o.URL += "-none"
	_, err := store.WantedDataKeys(t.Context(), o)
	wantErr(t, "WantedDataKeys without a database", err, store.ErrNoDatabase)
}

// enrol registers n patients.
func (p *practice) enrol(n int) {
	p.t.Helper()
	ctx := p.t.Context()
	together(8, func(w int) {
		for i := w; i < n; i += 8 {
			name := fmt.Sprintf("patient-%d", i)
			if _, err := p.CreatePatient(ctx, store.Actor{}, &store.PatientInput{User: user(name)}); err != nil {
				p.t.Errorf("CreatePatient error = %v, want nil", err)
			}
		}
	})
}

// A rotation that is stopped between two batches goes on where it was.
func TestRotateKeysThatIsStopped(t *testing.T) {
	f := newKeyFile("one")
	const accounts, batch = 450, 200
	p := newPracticeWithKeyFile(t, f)
	p.enrol(accounts)
	if err := p.AddDataKey(t.Context(), operator, f.adding("two")); err != nil {
		t.Fatal(err)
	}
	total := 0
	for i, want := range []int{batch + ownKeys, batch, accounts - 2*batch} {
		ctx, cancel := context.WithCancel(t.Context())
		var armed atomic.Bool
		p.options.Now = func() time.Time {
			if armed.Load() {
				cancel() // in the midst of the first batch
			}
			return p.clock.Now()
		}
		p.reopen()
		armed.Store(true)
		n, err := p.RotateKeys(ctx, operator)
		wantErr(t, "RotateKeys", err, context.Canceled)
		if storetest.OnPostgres() { // there the batch is undone
			want = 0
		}
		if n != want {
			t.Errorf("RotateKeys stopped for the %d. time = %d, want %d", i+1, n, want)
		}
		total += n
		p.wantKeys(keyState("two", false, true, total), keyState("one", false, true, accounts+ownKeys-total))
	}
	p.options.Now = p.clock.Now
	p.reopen()
	if n, err := p.RotateKeys(t.Context(), operator); n != accounts+ownKeys-total || err != nil {
		t.Errorf("RotateKeys at last = %d, %v, want %d, nil", n, err, accounts+ownKeys-total)
	}
	p.wantKeys(keyState("two", false, true, accounts+ownKeys), keyState("one", true, true, 0))
	p.wantTrail()
}
