package handlers_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// askAndNotRead asks for a page of records and reads no more of the answer than
// its status.
func askAndNotRead(t *testing.T, address, token string) (net.Conn, string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /api/health-records/?page_size=100 HTTP/1.1\r\nHost: example.com\r\nAuthorization: Bearer %s\r\n\r\n", token)
	line, err := bufio.NewReaderSize(conn, 16).ReadString('\n')
	if err != nil {
		t.Fatalf("the status cannot be read: %v", err)
	}
	return conn, strings.TrimSpace(line)
}

// Who does not read what it asked for can only fill so much memory, and when it
// has gone, all is well again.
func TestAnswersThatNobodyReadsAreBounded(t *testing.T) {
	p := newPractice(t, nil)
	pat := p.patient("pat")
	body := asJSON(map[string]string{"title": "long", "description": strings.Repeat("😀", 20_000)}) // 80 kB
	together(100, func(int) {
		p.do(pat, "POST", "/api/health-records/", body).want(t, "POST health-records", http.StatusCreated, "")
	})
	server := httptest.NewServer(p)
	defer server.Close()
	address := server.Listener.Addr().String()
	var asked []net.Conn
	refused := ""
	for range 12 { // 8 MB each
		conn, status := askAndNotRead(t, address, pat.token)
		asked = append(asked, conn)
		if status != "HTTP/1.1 200 OK" {
			refused = status
		}
	}
	if want := "HTTP/1.1 503 Service Unavailable"; refused != want {
		t.Errorf("of 12 answers of 8 MB that nobody reads one is %q, want %q", refused, want)
	}
	p.do(pat, "GET", "/api/me/", "").want(t, "GET me meanwhile", http.StatusOK, "")
	for _, conn := range asked {
		conn.Close()
	}
	for end := time.Now().Add(30 * time.Second); ; {
		answer := p.do(pat, "GET", "/api/health-records/?page_size=100", "")
		if answer.status == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("GET health-records when they have gone = %d, want 200", answer.status)
		}
	}
}
