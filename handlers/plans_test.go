package handlers_test

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"healthrecords/store/storetest"
)

// listener stands between a store and its PostgreSQL server, and writes down the
// statements that pass while it is told to.
type listener struct {
	mu         sync.Mutex
	writes     bool
	statements map[string]bool
}

// between returns the URL of a database through the listener, who comes in by
// a Unix socket of his own.
func (l *listener) between(t *testing.T, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	server := query.Get("host")
	if server == "" {
		t.Skip("TEST_DATABASE_URL names no directory of a Unix socket, where one could listen")
	}
	dir := t.TempDir()
	socket, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	go func() {
		for {
			client, err := socket.Accept()
			if err != nil {
				return
			}
			there, err := net.Dial("unix", filepath.Join(server, ".s.PGSQL.5432"))
			if err != nil {
				client.Close()
				return
			}
			go func() { io.Copy(client, there); client.Close() }()
			go func() { l.hear(there, client); there.Close() }()
		}
	}()
	query.Set("host", dir)
	u.RawQuery = query.Encode()
	return u.String()
}

// hear passes on what a client says: first a message without a type, then
// messages of one byte of type, four of length, and the rest (PostgreSQL,
// Frontend/Backend Protocol, section 55.7).
func (l *listener) hear(to io.Writer, from io.Reader) {
	for header := make([]byte, 4); ; header = make([]byte, 5) {
		if _, err := io.ReadFull(from, header); err != nil {
			return
		}
		length := binary.BigEndian.Uint32(header[len(header)-4:])
		rest := make([]byte, length-4)
		if _, err := io.ReadFull(from, rest); err != nil {
			return
		}
		switch {
		case len(header) == 4:
		case header[0] == 'P': // Parse: a name, a query
			l.note(string(bytes.Split(rest, []byte{0})[1]))
		case header[0] == 'Q':
			for query := range strings.SplitSeq(string(bytes.TrimRight(rest, "\x00")), ";") {
				l.note(strings.TrimSpace(query))
			}
		}
		if _, err := to.Write(append(header, rest...)); err != nil {
			return
		}
	}
}

// note keeps a statement that looks something up.
func (l *listener) note(statement string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writes && regexp.MustCompile(`(?i)\b(FROM|UPDATE)\b`).MatchString(statement) {
		l.statements[statement] = true
	}
}

func (l *listener) write(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes = on
}

// growing are the tables that grow with the practice; small ones do not.
var growing = []string{"accounts", "assignments", "sessions", "records", "record_versions", "notes", "note_versions", "outbox", "audit", "audit_patients", "audit_actors", "erasures"}

// x is a part of a page of events.
var small = []string{"data_keys", "service_keys", "schema_steps", "milestones", "audit_indexed", "x"}

// wantNoScans checks that both engines find what the statements ask for by an
// index, however large the practice is.
func (l *listener) wantNoScans(t *testing.T, sqlite, postgres string) {
	t.Helper()
	statements := slices.Sorted(maps.Keys(l.statements))
	if len(statements) < 50 {
		t.Errorf("%d statements were heard: too little was proved", len(statements))
	}
	lite, post := storetest.Open(t, sqlite), storetest.Open(t, postgres)
	defer lite.Close()
	defer post.Close()
	// The planner takes this for the number of rows a page, and so believes that
	// the practice is large.
	if _, err := post.Exec(`UPDATE pg_class SET reltuples = 1000000, relpages = 1 WHERE relnamespace = 'public'::regnamespace AND relname IN ('` +
		strings.Join(growing, "', '") + `')`); err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		if scan := scanOfSQLite(t, lite, s); scan != "" {
			t.Errorf("SQLite: %s\n%s", scan, s)
		}
		if scan := scanOfPostgres(t, post, s); scan != "" {
			t.Errorf("PostgreSQL: %s\n%s", scan, s)
		}
	}
}

// places counts the parameters of a statement.
func places(statement string) (n int) {
	for strings.Contains(statement, fmt.Sprint("$", n+1)) {
		n++
	}
	return n
}

// scanOfSQLite returns the step of a plan that walks along a whole table or
// index, or "". Within a limit an index may be walked along in its order, but
// not for what the trail's last entries are looked through for: it may be in none.
func scanOfSQLite(t *testing.T, db *sql.DB, statement string) string {
	t.Helper()
	if strings.Contains(statement, "pg_") {
		return "" // it is never sent to SQLite
	}
	asked := strings.NewReplacer(" FOR SHARE", "", // which SQLite is not asked for
		"audit_indexed CROSS JOIN LATERAL (SELECT * FROM audit b WHERE b.lane = audit_indexed.lane AND b.seq > audit_indexed.seq OFFSET 0) a WHERE 1 = 1",
		"audit_indexed CROSS JOIN audit a WHERE a.lane = audit_indexed.lane AND a.seq > audit_indexed.seq").Replace(statement)
	rows, err := db.Query("EXPLAIN QUERY PLAN "+asked, make([]any, places(statement))...)
	if err != nil {
		t.Errorf("EXPLAIN: %v\n%s", err, statement)
		return ""
	}
	defer rows.Close()
	for rows.Next() { // "SCAN table USING INDEX name", where a table may have another name
		var detail string
		if err := rows.Scan(new(int), new(int), new(int), &detail); err != nil {
			t.Fatal(err)
		}
		step, scans := strings.CutPrefix(detail, "SCAN ")
		table, by, _ := strings.Cut(step, " ")
		inOrder := strings.HasPrefix(by, "USING ") && strings.Contains(statement, " LIMIT ") && !strings.Contains(statement, "audit_indexed")
		if scans && !inOrder && !slices.Contains(small, table) {
			return detail
		}
	}
	return ""
}

// plan is a step of a plan of PostgreSQL, with those that it takes its rows from.
type plan struct {
	Node  string `json:"Node Type"`
	Table string `json:"Relation Name"`
	Index string `json:"Index Name"`
	Cond  string `json:"Index Cond"`
	Plans []plan
}

// scanOfPostgres returns what scanOfSQLite does. Walking along a table is made
// so dear that it is done only where no index serves.
func scanOfPostgres(t *testing.T, db *sql.DB, statement string) string {
	t.Helper()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	execute := "EXPLAIN (FORMAT JSON) EXECUTE q"
	if n := places(statement); n > 0 {
		execute += "(NULL" + strings.Repeat(", NULL", n-1) + ")"
	}
	_, err = c.ExecContext(t.Context(), "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; PREPARE q AS "+statement)
	var text []byte
	if err == nil {
		err = c.QueryRowContext(t.Context(), execute).Scan(&text)
	}
	if err != nil {
		t.Errorf("EXPLAIN: %v\n%s", err, statement)
		return ""
	}
	var plans []struct{ Plan plan }
	if err := json.Unmarshal(text, &plans); err != nil {
		t.Fatal(err)
	}
	return plans[0].Plan.scan(false)
}

// scan returns the first step that walks along all of a table that grows.
func (p plan) scan(limited bool) string {
	limited = limited || p.Node == "Limit"
	if slices.Contains(growing, p.Table) {
		if p.Node == "Seq Scan" || strings.HasPrefix(p.Node, "Index") && p.Cond == "" && !limited {
			return p.Node + " of " + p.Table + " " + p.Index
		}
	}
	for _, from := range p.Plans {
		if s := from.scan(limited); s != "" {
			return s
		}
	}
	return ""
}
