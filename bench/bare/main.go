// Bare is the yardstick that the service is held against: it does the work
// that nobody can leave out, and nothing else. A request is one HS256 check,
// one look at the session's row, one prepared query, AES-256-GCM, one entry in
// a chained trail, committed with synchronous=FULL together with those of
// whoever waits (group commit), and JSON. There is no policy, no validation,
// no routing beyond three paths, and nobody should keep records in it.
//
// It makes its own database, of the same rows as bench/run makes for the
// service, and prints its address when it listens.
package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"golang.org/x/crypto/argon2"
)

func main() {
	file := flag.String("db", "bare.db", "`file` of the database; made when it is not there")
	listen := flag.String("listen", "127.0.0.1:0", "`address`")
	records := flag.Int("records", 10_000, "how many records a new database has")
	untraced := flag.Bool("untraced", false, "leave the trail out: what it costs")
	flag.Parse()
	s := open(*file, *records)
	s.untraced = *untraced
	l, err := net.Listen("tcp", *listen)
	must(err)
	fmt.Println(l.Addr())
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("GET /records", s.list)
	mux.HandleFunc("POST /records", s.create)
	mux.HandleFunc("GET /records/{id}", s.get)
	must(http.Serve(l, mux))
}

// server is all that there is: keys, the one connection and its queue.
type server struct {
	jobs     chan job
	records  cipher.AEAD
	tokenKey []byte
	trailKey []byte
	hash     []byte // of everybody's password
	untraced bool
}

type job struct {
	work func(*writer) error
	done chan error // holds one
}

// writer is the one connection, its statements, and the trail's head.
type writer struct {
	stmts map[string]*sql.Stmt
	conn  *sql.Conn
	seq   int64
	mac   []byte
}

var background = context.Background()

func open(file string, records int) *server {
	key := func(what string) []byte { sum := sha256.Sum256([]byte(what)); return sum[:] }
	block, err := aes.NewCipher(key("records"))
	must(err)
	aead, err := cipher.NewGCMWithRandomNonce(block)
	must(err)
	hash := derive("a password of some length")
	s := &server{jobs: make(chan job, 1024), records: aead, tokenKey: key("tokens"), trailKey: key("trail"), hash: hash}
	db, err := sql.Open("sqlite3", "file:"+file+"?_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on&_busy_timeout=5000")
	must(err)
	conn, err := db.Conn(background)
	must(err)
	w := &writer{stmts: make(map[string]*sql.Stmt), conn: conn}
	s.fill(w, records)
	go s.run(w)
	return s
}

func derive(password string) []byte {
	return argon2.IDKey([]byte(password), make([]byte, 16), 2, 19456, 1, 32)
}

// run commits what waits, and answers it then.
func (s *server) run(w *writer) {
	head := w.stmt("SELECT seq, mac FROM audit UNION ALL SELECT 0, x'' ORDER BY seq DESC LIMIT 1")
	must(head.QueryRowContext(background).Scan(&w.seq, &w.mac))
	for first := range s.jobs {
		batch, errs := []job{first}, []error(nil)
		must(w.exec("BEGIN IMMEDIATE"))
		for i := 0; i < len(batch); i++ {
			errs = append(errs, batch[i].work(w))
			if len(s.jobs) > 0 && len(batch) < 128 { // nobody else takes one
				batch = append(batch, <-s.jobs)
			}
		}
		must(w.exec("COMMIT"))
		for i, j := range batch {
			j.done <- errs[i]
		}
	}
}

func must(err error) {
	if err != nil {
		log.Fatal("bare: ", err)
	}
}

func (s *server) do(work func(*writer) error) error {
	j := job{work, make(chan error, 1)}
	s.jobs <- j
	return <-j.done
}

func (w *writer) stmt(query string) *sql.Stmt {
	if w.stmts[query] == nil {
		st, err := w.conn.PrepareContext(background, query)
		must(err)
		w.stmts[query] = st
	}
	return w.stmts[query]
}

func (w *writer) exec(query string, args ...any) error {
	_, err := w.stmt(query).ExecContext(background, args...)
	return err
}

// trace adds one entry to the trail, chained to the one before.
func (s *server) trace(w *writer, user, action, object string) error {
	if s.untraced {
		return nil
	}
	at := now()
	m := hmac.New(sha256.New, s.trailKey)
	fmt.Fprintf(m, "%x\n%d\n%s\n%s\n%s\n%s", w.mac, w.seq+1, at, user, action, object)
	w.seq, w.mac = w.seq+1, m.Sum(nil)
	return w.exec("INSERT INTO audit VALUES ($1, $2, $3, $4, $5, $6)", w.seq, at, user, action, object, w.mac)
}

func now() string { return instant(time.Now()) }

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// claims are what a token says.
type claims struct {
	User    string `json:"user_id"`
	Session string `json:"sid"`
	ID      string `json:"jti"`
	Expires int64  `json:"exp"`
}

const header = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9" // {"alg":"HS256","typ":"JWT"}

func (s *server) sign(c claims) string {
	body, _ := json.Marshal(c)
	return s.seal(header + "." + base64.RawURLEncoding.EncodeToString(body))
}

// seal makes a token of its first two parts.
func (s *server) seal(text string) string {
	m := hmac.New(sha256.New, s.tokenKey)
	m.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func (s *server) parse(token string) (c claims, err error) {
	text := token[:max(strings.LastIndexByte(token, '.'), 0)]
	rest, ok := strings.CutPrefix(text, header+".")
	if !ok || !hmac.Equal([]byte(token), []byte(s.seal(text))) {
		return c, errors.New("bad token")
	}
	body, _ := base64.RawURLEncoding.DecodeString(rest) // whoever signed it can write
	err = json.Unmarshal(body, &c)
	if err == nil && c.Expires <= time.Now().Unix() {
		err = errors.New("expired")
	}
	return c, err
}

// as runs work for whoever the request's token names, whose session's row is
// looked at in the same transaction.
func (s *server) as(r *http.Request, action, object string, work func(w *writer, user string) error) error {
	c, err := s.parse(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	if err != nil {
		return err
	}
	return s.do(func(w *writer) error {
		var user, expires string
		err := w.stmt("SELECT account_id, expires_at FROM sessions WHERE id = $1 AND ended_at IS NULL").QueryRowContext(background, c.Session).Scan(&user, &expires)
		if err != nil || user != c.User || expires <= now() {
			return errors.New("no session")
		}
		if err := work(w, user); err != nil {
			return err
		}
		return s.trace(w, user, action, object)
	})
}

// record is what is answered: the members of the service's record.
type record struct {
	ID          string   `json:"id"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Date        string   `json:"date"`
	Patient     string   `json:"patient"`
	Author      author   `json:"author"`
	Notes       []string `json:"doctor_notes"`
	Created     string   `json:"created_at"`
	Updated     string   `json:"updated_at"`
}

type author struct {
	Role string `json:"role"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

const columns = "SELECT id, patient_id, date, content, created_at FROM records "

func (s *server) scan(row interface{ Scan(...any) error }) (record, error) {
	r := record{Notes: []string{}}
	var content []byte
	if err := row.Scan(&r.ID, &r.Patient, &r.Date, &content, &r.Created); err != nil {
		return r, err
	}
	plain, err := s.records.Open(nil, nil, content, []byte(r.ID))
	r.Title, r.Description, _ = strings.Cut(string(plain), "\n")
	r.Updated, r.Author = r.Created, author{"patient", r.Patient, "Pat Example"}
	return r, err
}

func (s *server) get(w http.ResponseWriter, r *http.Request) {
	var found record
	id := r.PathValue("id")
	err := s.as(r, "record.read", id, func(q *writer, _ string) (err error) {
		found, err = s.scan(q.stmt(columns+"WHERE id = $1").QueryRowContext(background, id))
		return err
	})
	answer(w, http.StatusOK, found, err)
}

// list answers the newest 25 of a patient, or of all of a doctor's patients.
func (s *server) list(w http.ResponseWriter, r *http.Request) {
	query, value := columns+"WHERE patient_id = $1 ORDER BY date DESC, id DESC LIMIT 25", r.FormValue("patient")
	if value == "" {
		query, value = columns+"WHERE doctor_id = $1 ORDER BY date DESC, id DESC LIMIT 25", r.FormValue("doctor")
	}
	list := []record{}
	err := s.as(r, "record.list", "", func(q *writer, _ string) error {
		rows, err := q.stmt(query).QueryContext(background, value)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() && err == nil {
			var found record
			found, err = s.scan(rows)
			list = append(list, found)
		}
		return errors.Join(err, rows.Err())
	})
	answer(w, http.StatusOK, map[string]any{"next": nil, "previous": nil, "results": list}, err)
}

func (s *server) create(w http.ResponseWriter, r *http.Request) {
	var in struct{ Title, Description string }
	_ = json.NewDecoder(r.Body).Decode(&in) // nothing is validated
	made := record{ID: newID(), Title: in.Title, Description: in.Description, Date: now(), Notes: []string{}}
	sealed := s.records.Seal(nil, nil, []byte(in.Title+"\n"+in.Description), []byte(made.ID))
	err := s.as(r, "record.create", made.ID, func(q *writer, user string) error {
		made.Patient, made.Created, made.Updated, made.Author = user, made.Date, made.Date, author{"patient", user, "Pat Example"}
		return q.exec(insertRecord, made.ID, user, doctorOf(user), made.Date, sealed, made.Date)
	})
	answer(w, http.StatusCreated, made, err)
}

const insertRecord = "INSERT INTO records (id, patient_id, doctor_id, date, content, created_at) VALUES ($1, $2, $3, $4, $5, $6)"

// token signs in with a name and a password, or renews with a refresh token.
func (s *server) token(w http.ResponseWriter, r *http.Request) {
	var in struct{ Username, Password, Refresh string }
	err := json.NewDecoder(r.Body).Decode(&in)
	var c claims
	switch {
	case err != nil:
	case in.Refresh != "":
		if c, err = s.parse(in.Refresh); err == nil {
			old := c.ID
			c.ID = newID()
			err = s.keep(c, "session.refresh",
				"UPDATE sessions SET refresh_id = $1 WHERE id = $2 AND refresh_id = $3 AND ended_at IS NULL", c.ID, c.Session, old)
		}
	case !hmac.Equal(derive(in.Password), s.hash):
		err = errors.New("wrong password")
	default:
		c = claims{User: in.Username, Session: newID(), ID: newID()}
		err = s.keep(c, "session.open", "INSERT INTO sessions VALUES ($1, $2, $3, $4, NULL)",
			c.Session, c.User, instant(time.Now().Add(720*time.Hour)), c.ID)
	}
	access := c
	access.Expires, c.Expires = time.Now().Add(5*time.Minute).Unix(), time.Now().Add(24*time.Hour).Unix()
	answer(w, http.StatusOK, map[string]string{"refresh": s.sign(c), "access": s.sign(access)}, err)
}

// keep writes a session's row and its entry.
func (s *server) keep(c claims, action, query string, args ...any) error {
	return s.do(func(w *writer) error {
		if err := w.exec(query, args...); err != nil {
			return err
		}
		return s.trace(w, c.User, action, c.Session)
	})
}

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func answer(w http.ResponseWriter, status int, body any, err error) {
	if err != nil {
		http.Error(w, `{"detail":"no"}`, http.StatusUnauthorized)
		return
	}
	text, _ := json.Marshal(body)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
