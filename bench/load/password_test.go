package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestPassword(t *testing.T) {
	ada, bo := &account{Username: "ada"}, &account{Username: "bo"}
	first := password("seed", ada)
	if len(first) < 20 {
		t.Errorf("password has %d characters, want at least 20", len(first))
	}
	if password("seed", ada) != first {
		t.Error("password of the same seed and user differs from draw to draw")
	}
	if password("seed", bo) == first {
		t.Error("password of another user is the same")
	}
	if password("other", ada) == first {
		t.Error("password of another seed is the same")
	}
}

func TestPasswordPassesOverNames(t *testing.T) {
	plain := password("seed", &account{Username: "ada"})
	a := &account{Username: "ada", LastName: "Van-" + plain[4:7] + "-Dyck"}
	if got := password("seed", a); got == plain || resembles(got, a.LastName) {
		t.Error("password holds a part of the name")
	}
}

func TestGivePasswords(t *testing.T) {
	p := mustRead(t)
	file := filepath.Join(t.TempDir(), "passwords.jsonl")
	if err := givePasswords(p, "seed", file); err != nil {
		t.Fatalf("givePasswords error = %v, want nil", err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode = %o, want 600", got)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var users []string
	for line := range bytes.Lines(data) {
		var v struct{ Username, Password string }
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatalf("a line is no JSON: %v", err)
		}
		if v.Password != password("seed", p.accounts()[len(users)]) {
			t.Errorf("line %d has another password than its account", len(users)+1)
		}
		users = append(users, v.Username)
	}
	if len(users) != 4 || users[0] != "ada" || users[3] != "quin" {
		t.Errorf("users = %q, want the doctors, then the patients", users)
	}
	if err := givePasswords(p, "other", file); !os.IsExist(err) {
		t.Errorf("givePasswords to a file that exists error = %v, want that it exists", err)
	}
	if again, _ := os.ReadFile(file); !bytes.Equal(again, data) {
		t.Error("the file that existed was changed")
	}
}
