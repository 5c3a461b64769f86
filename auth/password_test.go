package auth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/crypto/argon2"

	"healthrecords/auth"
)

// cheap is a hash of "password" that costs next to nothing, from the test
// vectors of argon2's reference implementation (src/test.c).
const cheap = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"

func mustHash(t testing.TB, password string) string {
	t.Helper()
	phc, err := auth.NewHasher(1, 0).Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	return phc
}

func TestHashThenVerify(t *testing.T) {
	const password = "violet tram eats seven maps"
	phc := mustHash(t, password)
	if prefix := "$argon2id$v=19$m=19456,t=2,p=1$"; !strings.HasPrefix(phc, prefix) || len(phc) != 97 {
		t.Errorf("Hash = %d bytes that begin with %.31s, want 97 and %s", len(phc), phc, prefix)
	}
	ok, weak, err := auth.NewHasher(1, 0).Verify(t.Context(), phc, password)
	if !ok || weak || err != nil {
		t.Errorf("Verify = %v, weak %v, %v, want true, not weak", ok, weak, err)
	}
}

func TestHashHasNewSaltEachTime(t *testing.T) {
	first, second := mustHash(t, "same"), mustHash(t, "same")
	if first == second {
		t.Error("two hashes of one password are equal")
	}
}

// The whole password is compared: beyond bcrypt's 72 bytes, behind a NUL, with
// its white space, its case, its code points and its bytes.
func TestVerifyComparesEveryByte(t *testing.T) {
	long := strings.Repeat("0123456789", 100)
	for _, test := range []struct{ name, password, other string }{
		{"the last of 1,000 bytes", long + "a", long + "b"},
		{"cut after 72 bytes", long, long[:72]},
		{"behind a NUL", "violet\x00tram", "violet\x00maps"},
		{"cut before a NUL", "violet\x00tram", "violet"},
		{"a space before", " violet", "violet"},
		{"a space behind", "violet ", "violet"},
		{"a line feed behind", "violet\n", "violet"},
		{"case", "violet", "Violet"},
		{"composed and decomposed", "caf\u00e9", "cafe\u0301"},
		{"a ligature", "\ufb01t", "fit"},
		{"bytes that are no UTF-8", "violet\xff", "violet\xfe"},
		{"a replacement character", "violet\xff", "violet\ufffd"},
		{"empty", "violet", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, phc := auth.NewHasher(1, 0), mustHash(t, test.password)
			if ok, _, err := h.Verify(t.Context(), phc, test.other); ok || err != nil {
				t.Errorf("Verify of the other = %v, %v, want false", ok, err)
			}
			if ok, _, err := h.Verify(t.Context(), phc, test.password); !ok || err != nil {
				t.Errorf("Verify of the same = %v, %v, want true", ok, err)
			}
		})
	}
}

// From the test vectors of argon2's reference implementation (src/test.c).
// All are weaker than today's: their salts have 8 bytes.
func TestVerifyReferenceVectors(t *testing.T) {
	for _, test := range []struct{ password, phc string }{
		{"password", cheap},
		{"password", "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"},
		{"password", "$argon2id$v=19$m=65536,t=1,p=1$c29tZXNhbHQ$9qWtwbpyPd3vm1rB1GThgPzZ3/ydHL92zKL+15XZypg"},
		{"password", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"},
		{"differentpassword", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$C4TWUs9rDEvq7w3+J4umqA32aWKB1+DSiRuBfYxFj94"},
		{"password", "$argon2id$v=19$m=65536,t=2,p=1$ZGlmZnNhbHQ$vfMrBczELrFdWP0ZsfhWsRPaHppYdP3MVEMIVlqoFBw"},
	} {
		ok, weak, err := auth.NewHasher(1, 0).Verify(t.Context(), test.phc, test.password)
		if !ok || !weak || err != nil {
			t.Errorf("Verify(%s) = %v, weak %v, %v, want true and weak", test.phc, ok, weak, err)
		}
	}
}

// makePHC makes a hash with any parameters that argon2 can do.
func makePHC(password string, memory, passes uint32, lanes uint8, salt, sum int) string {
	s := []byte(strings.Repeat("s", salt))
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", memory, passes, lanes, b64(s),
		b64(argon2.IDKey([]byte(password), s, passes, memory, lanes, uint32(sum))))
}

func TestVerifyTellsWeakHashes(t *testing.T) {
	for _, test := range []struct {
		name string
		phc  string
		weak bool
	}{
		{"today's", makePHC("pw", 19456, 2, 1, 16, 32), false},
		{"more memory", makePHC("pw", 19464, 2, 1, 16, 32), false},
		{"more passes", makePHC("pw", 19456, 3, 1, 16, 32), false},
		{"more lanes", makePHC("pw", 19456, 2, 2, 16, 32), false},
		{"a longer salt", makePHC("pw", 19456, 2, 1, 17, 32), false},
		{"less memory", makePHC("pw", 19455, 2, 1, 16, 32), true},
		{"fewer passes", makePHC("pw", 38912, 1, 1, 16, 32), true},
		{"a shorter salt", makePHC("pw", 19456, 2, 1, 15, 32), true},
		{"a shorter sum", makePHC("pw", 19456, 2, 1, 16, 31), true},
	} {
		h := auth.NewHasher(1, 0)
		if ok, weak, err := h.Verify(t.Context(), test.phc, "pw"); !ok || weak != test.weak || err != nil {
			t.Errorf("%s: Verify = %v, weak %v, %v, want true, weak %v", test.name, ok, weak, err, test.weak)
		}
		if ok, weak, err := h.Verify(t.Context(), test.phc, "no"); ok || weak || err != nil {
			t.Errorf("%s: Verify of a wrong password = %v, weak %v, %v, want false, not weak", test.name, ok, weak, err)
		}
	}
}

func TestVerifyOfNoAccountIsFalse(t *testing.T) {
	for _, password := range []string{"", "password", "\x00"} {
		ok, weak, err := auth.NewHasher(1, 0).Verify(t.Context(), "", password)
		if ok || weak || err != nil {
			t.Errorf("Verify = %v, weak %v, %v, want false, not weak", ok, weak, err)
		}
	}
}

// malformed are hashes that argon2 would panic on, or spend gigabytes or
// minutes on, or that are not written as we write them.
var malformed = map[string]string{
	"no passes":              "$argon2id$v=19$m=19456,t=0,p=1$c29tZXNhbHRzb21lc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"no lanes":               "$argon2id$v=19$m=19456,t=2,p=0$c29tZXNhbHRzb21lc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"no memory":              "$argon2id$v=19$m=0,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"too little memory":      "$argon2id$v=19$m=15,t=2,p=2$c29tZXNhbHRzb21lc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"4 TiB":                  "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"a KiB too much":         "$argon2id$v=19$m=65537,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"memory beyond 32 bits":  "$argon2id$v=19$m=4294986752,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"too many passes":        "$argon2id$v=19$m=19456,t=17,p=1$c29tZXNhbHRzb21lc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"too many lanes":         "$argon2id$v=19$m=19456,t=2,p=5$c29tZXNhbHRzb21lc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"lanes beyond 8 bits":    "$argon2id$v=19$m=19456,t=2,p=257$c29tZXNhbHRzb21lc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"negative":               "$argon2id$v=19$m=-1,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"a sign":                 "$argon2id$v=19$m=+256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"a leading zero":         "$argon2id$v=19$m=0256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"a space":                "$argon2id$v=19$m= 256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"another order":          "$argon2id$v=19$t=2,m=256,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"a parameter more":       "$argon2id$v=19$m=256,t=2,p=1,keyid=x$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"a field more":           cheap + "$",
	"a field less":           "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
	"no version":             "$argon2id$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"another version":        "$argon2id$v=16$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"argon2i":                "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"upper case":             "$ARGON2ID$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"a line feed in the sum": "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4r\nEsF5h7TKyQwu9U1bMCHGi/4",
	"padding":                cheap + "=",
	"an unused bit":          "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/5",
	"no base64":              "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR_uIPnA4rEsF5h7TKyQwu9U1bMCHGi_4",
	"a short salt":           "$argon2id$v=19$m=256,t=2,p=1$c29tZXM$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"a long salt":            "$argon2id$v=19$m=256,t=2,p=1$" + strings.Repeat("AAAA", 22) + "$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"no salt":                "$argon2id$v=19$m=256,t=2,p=1$$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"a short sum":            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4r",
	"no sum":                 "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$",
	"a long sum":             "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$" + strings.Repeat("AAAA", 22),
	"a long text":            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$" + strings.Repeat("AAAA", 1<<20),
	"dollars":                strings.Repeat("$", 1<<20),
	"bcrypt":                 "$2b$12$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuabcdefghijk",
	"unusable":               "!",
	"a password":             "password",
}

func TestVerifyRefusesMalformedHashes(t *testing.T) {
	for name, phc := range malformed {
		t.Run(name, func(t *testing.T) {
			ok, weak, err := auth.NewHasher(1, 0).Verify(t.Context(), phc, "password")
			if ok || weak || err != auth.ErrPHC {
				t.Errorf("Verify = %v, weak %v, %v, want ErrPHC", ok, weak, err)
			}
		})
	}
}

// Each Verify computes one hash with today's parameters, whether there is an
// account or not. The memory that it takes shows it: 19 MiB, once.
func TestVerifyCostsOneHash(t *testing.T) {
	for name, phc := range map[string]string{
		"an account":           mustHash(t, "password"),
		"no account":           "",
		"a malformed hash":     malformed["unusable"],
		"a hash of 4 TiB":      malformed["4 TiB"],
		"a hash of no passes":  malformed["no passes"],
		"a hash of a megabyte": malformed["a long text"],
	} {
		h := auth.NewHasher(1, 0)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		h.Verify(t.Context(), phc, "wrong")
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got < 19<<20 || got > 20<<20 {
			t.Errorf("%s: Verify allocates %d bytes, want 19 MiB and little more", name, got)
		}
	}
}

func TestErrorsQuoteNothing(t *testing.T) {
	_, _, err := auth.NewHasher(1, 0).Verify(t.Context(), "$argon2id$marker", "marker")
	if err == nil || strings.Contains(err.Error(), "marker") {
		t.Errorf("Verify error = %v, want one without the hash and the password", err)
	}
}

// verifyBeside begins a Verify that succeeds once it has a slot.
func verifyBeside(h *auth.Hasher, ctx context.Context) <-chan error {
	result := make(chan error, 1)
	go func() {
		ok, _, err := h.Verify(ctx, cheap, "password")
		if err == nil && !ok {
			err = errors.New("verify = false, want true")
		}
		result <- err
	}()
	return result
}

// returned reports what a call came back with, ok false if it still waits.
func returned(result <-chan error) (err error, ok bool) {
	synctest.Wait()
	select {
	case err := <-result:
		return err, true
	default:
		return nil, false
	}
}

func TestHasherBoundsHashesAndCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := auth.NewHasher(2, 1)
		release1, release2 := h.Occupy(), h.Occupy()
		waiting := verifyBeside(h, t.Context())
		if err, ok := returned(waiting); ok {
			t.Fatalf("with both slots taken Verify error = %v, want it to wait", err)
		}
		if err, ok := returned(verifyBeside(h, t.Context())); !ok || err != auth.ErrBusy {
			t.Errorf("with the queue full Verify = %v, returned %v, want ErrBusy at once", err, ok)
		}
		if _, err := h.Hash(t.Context(), "password"); err != auth.ErrBusy {
			t.Errorf("with the queue full Hash error = %v, want ErrBusy", err)
		}
		release1()
		if err, ok := returned(waiting); !ok || err != nil {
			t.Errorf("with a slot free Verify = %v, returned %v, want nil", err, ok)
		}
		if err, ok := returned(verifyBeside(h, t.Context())); !ok || err != nil {
			t.Errorf("with a slot free again Verify = %v, returned %v, want nil", err, ok)
		}
		release2()
	})
}

// What is hashed against is asked for when a slot is there, not before, and
// while it is held.
func TestVerifyAfterLoadsInItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, phc := auth.NewHasher(1, 1), mustHash(t, "password")
		release := h.Occupy()
		loaded, result := make(chan struct{}), make(chan error, 1)
		go func() {
			ok, _, err := h.VerifyAfter(t.Context(), "password", func() (string, error) {
				close(loaded)
				return phc, nil
			})
			if !ok && err == nil {
				err = errors.New("the password is not right")
			}
			result <- err
		}()
		synctest.Wait()
		select {
		case <-loaded:
			t.Error("VerifyAfter loaded with the slot taken, want it to wait")
		default:
		}
		release()
		if err := <-result; err != nil {
			t.Errorf("VerifyAfter error = %v, want nil", err)
		}
	})
}

func TestVerifyAfterGivesTheSlotBackWhenLoadFails(t *testing.T) {
	h, refused := auth.NewHasher(1, 0), errors.New("too many attempts")
	for range 2 {
		ok, weak, err := h.VerifyAfter(t.Context(), "password", func() (string, error) { return cheap, refused })
		if ok || weak || err != refused {
			t.Errorf("VerifyAfter = %v, weak %v, %v, want the error of load", ok, weak, err)
		}
	}
}

func TestWaitingEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := auth.NewHasher(1, 1)
		release := h.Occupy()
		ctx, cancel := context.WithCancel(t.Context())
		waiting := verifyBeside(h, ctx)
		if err, ok := returned(waiting); ok {
			t.Fatalf("with the slot taken Verify error = %v, want it to wait", err)
		}
		cancel()
		if err, ok := returned(waiting); !ok || err != context.Canceled {
			t.Errorf("after cancel Verify = %v, returned %v, want context.Canceled", err, ok)
		}

		// It gave its place in the queue back.
		waiting = verifyBeside(h, t.Context())
		if err, ok := returned(waiting); ok {
			t.Fatalf("next Verify error = %v, want it to wait", err)
		}
		release()
		if err, ok := returned(waiting); !ok || err != nil {
			t.Errorf("next Verify = %v, returned %v, want nil", err, ok)
		}
	})
}

func TestEndedContextIsNotHashedFor(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h := auth.NewHasher(1, 0)
	if phc, err := h.Hash(ctx, "password"); phc != "" || err != context.Canceled {
		t.Errorf("Hash error = %v, want context.Canceled", err)
	}
	if ok, weak, err := h.Verify(ctx, cheap, "password"); ok || weak || err != context.Canceled {
		t.Errorf("Verify = %v, weak %v, %v, want context.Canceled", ok, weak, err)
	}
}

func TestHasherHasAtLeastOneSlot(t *testing.T) {
	if ok, _, err := auth.NewHasher(0, -1).Verify(t.Context(), cheap, "password"); !ok || err != nil {
		t.Errorf("Verify = %v, %v, want true", ok, err)
	}
}

// A PHC string is refused, or it is the only spelling of what it says.
func FuzzPHC(f *testing.F) {
	f.Add(cheap)
	for _, phc := range malformed {
		if len(phc) < 256 {
			f.Add(phc)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		again, err := auth.ReformatPHC(text)
		if err == nil && again != text {
			t.Errorf("parsePHC(%q) reads %q, want the same or ErrPHC", text, again)
		}
		if err != nil && err != auth.ErrPHC {
			t.Errorf("parsePHC(%q) error = %v, want ErrPHC", text, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	h, phc := auth.NewHasher(1, 0), mustHash(b, "password")
	b.ReportAllocs()
	for b.Loop() {
		if ok, _, err := h.Verify(b.Context(), phc, "password"); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

// Hashes come from elsewhere where that is wanted, and from here when it fails.
func TestComputeApart(t *testing.T) {
	jobs, failed := 0, error(nil)
	h := auth.NewHasher(1, 0)
	h.ComputeApart(func(j auth.Job) ([]byte, error) {
		jobs++
		return j.Sum(), failed
	})
	phc, err := h.Hash(t.Context(), "password")
	if err != nil {
		t.Fatal(err)
	}
	for _, failed = range []error{nil, errors.New("it is gone")} {
		if ok, _, err := h.Verify(t.Context(), phc, "password"); !ok || err != nil {
			t.Errorf("when apart fails with %v, Verify = %v, %v, want true", failed, ok, err)
		}
		if ok, _, err := h.Verify(t.Context(), phc, "passwort"); ok || err != nil {
			t.Errorf("when apart fails with %v, Verify of another = %v, %v, want false", failed, ok, err)
		}
	}
	if ok, _, err := auth.NewHasher(1, 0).Verify(t.Context(), phc, "password"); !ok || err != nil {
		t.Errorf("Verify of what was computed apart = %v, %v, want true", ok, err)
	}
	if jobs != 5 {
		t.Errorf("%d hashes were asked for, want 5", jobs)
	}
}
