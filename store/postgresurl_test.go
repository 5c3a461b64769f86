package store_test

import (
	"slices"
	"strings"
	"testing"

	"healthrecords/store"
)

func TestParsePostgres(t *testing.T) {
	for _, c := range []struct {
		url, name, mode string
		hosts           []string
		local           bool
	}{
		{"postgres://app:pw@127.0.0.1:5433/health", "postgres://127.0.0.1:5433/health", "disable", []string{"127.0.0.1:5433"}, true},
		{"postgresql://app@localhost/health", "postgres://localhost:5432/health", "disable", []string{"localhost:5432"}, true},
		{"postgres://app@[::1]:5433/health", "postgres://[::1]:5433/health", "disable", []string{"[::1]:5433"}, true},
		{"postgres://app@/health?host=/run/postgresql", "postgres:///run/postgresql/health", "disable", []string{"/run/postgresql"}, true},
		{"postgres://app:pw@db.example.org/health", "postgres://db.example.org:5432/health", "verify-full", []string{"db.example.org:5432"}, false},
		{"postgres://app:pw@db.example.org/health?sslmode=require", "postgres://db.example.org:5432/health", "require", []string{"db.example.org:5432"}, false},
		{"postgres://app:pw@127.0.0.1/health?sslmode=verify-ca&sslrootcert=ca.pem", "postgres://127.0.0.1:5432/health", "verify-ca", []string{"127.0.0.1:5432"}, true},
		{"postgres://app:pw@127.0.0.1/health?sslrootcert=ca.pem", "postgres://127.0.0.1:5432/health", "verify-full", []string{"127.0.0.1:5432"}, true},
		{"postgres://app:p%40w%2F@a.example.org:1,b.example.org/health", "postgres://a.example.org:1,b.example.org:5432/health", "verify-full", []string{"a.example.org:1", "b.example.org:5432"}, false},
		{"postgres://app:pw@localhost,b.example.org/health", "postgres://localhost:5432,b.example.org:5432/health", "verify-full", []string{"localhost:5432", "b.example.org:5432"}, false},
	} {
		p, err := store.ParsePostgres(c.url)
		if err != nil {
			t.Errorf("ParsePostgres(%s) error = %v, want nil", c.url, err)
			continue
		}
		if p.Name() != c.name || p.SSLMode != c.mode || !slices.Equal(p.Hosts, c.hosts) || p.Local != c.local || p.User != "app" || p.Database != "health" {
			t.Errorf("ParsePostgres(%s) = %s, %+v, want %s, sslmode %s, hosts %q, local %v", c.url, p.Name(), p, c.name, c.mode, c.hosts, c.local)
		}
	}
}

// What is refused is refused with words that hold nothing of it.
func TestParsePostgresRefuses(t *testing.T) {
	for _, url := range []string{
		"postgres:xyzzy", "postgres://", "postgres://xyzzy@host", "postgres://xyzzy@host/", "postgres://host/xyzzy", "postgres://:xyzzy@host/health",
		"postgres://u:xyzzy@/health", "postgres://u:xyzzy@host:0/health", "postgres://u:xyzzy@host:port/health", "postgres://u:xyzzy@host:/health",
		"postgres://u:xyzzy@a,,b/health", "postgres://u:xyzzy@host/health/more", "postgres://u:xyzzy@host/health#part", "postgres://u:xyz/zy@host/health",
		"postgres://u:xyzzy%00@host/health", "postgres://u:xyzzy@host/health%0a", "postgres://u:%zz@host/health", "mysql://u:xyzzy@host/health",
		"postgres://u:xyzzy@host/health?sslmode=prefer", "postgres://u:xyzzy@host/health?sslmode=allow", "postgres://u:xyzzy@host/health?sslmode=on",
		"postgres://u:xyzzy@host/health?sslmode=disable&sslmode=require", "postgres://u:xyzzy@host/health?options=-csearch_path%3Dx", "postgres://u:xyzzy@host/health?sslcert=c",
		"postgres://u:xyzzy@host/health?connect_timeout=0", "postgres://u:xyzzy@host/health?host=/run", "postgres://u:xyzzy@/health?host=run", "postgres://u:xyzzy@/health?host=/run&sslmode=require",
		"postgres://u:xyzzy@host/health?sslmode=disable&sslrootcert=ca.pem", "postgres://u:xyzzy@/health?host=/run&sslrootcert=ca.pem",
		"postgres://u:xyzzy@host/health?port=1", "postgres://u:xyzzy@host/health?sslmode=", "postgres://u:xyzzy@host/health?%zz",
	} {
		if p, err := store.ParsePostgres(url); err == nil || strings.Contains(err.Error(), "xyz") {
			t.Errorf("ParsePostgres(%s) = %+v, %v, want an error that quotes nothing", url, p, err)
		}
		if name := store.DatabaseName(url); strings.HasPrefix(url, "postgres") && strings.Contains(name, "xyzzy@") {
			t.Errorf("DatabaseName(%s) = %s, want no password in it", url, name)
		}
	}
}

func TestPostgresCommandLines(t *testing.T) {
	p, err := store.ParsePostgres("postgres://ap%27p:secret@db.example.org,other.example.org:5433/health?sslrootcert=/etc/ca.pem")
	if err != nil {
		t.Fatal(err)
	}
	const url = `'postgres://ap%27p@db.example.org:5432,other.example.org:5433/health?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem'`
	if got, want := p.Dump("it's"), `pg_dump --format=custom --file='it'\''s' `+url; got != want {
		t.Errorf("Dump = %s, want %s", got, want)
	}
	if got, want := p.Load("a b"), `pg_restore --exit-on-error --no-owner --dbname=`+url+` 'a b'`; got != want {
		t.Errorf("Load = %s, want %s", got, want)
	}
}
