package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"syscall"
	"time"

	"healthrecords/bench/drive"
)

// sloth is a kind of slow client.
type sloth struct {
	name  string
	close time.Duration            // when it must have been cut off
	first func(rs *readers) []byte // what it sends at once
	drip  byte                     // what it sends each second; nothing when 0
	pause time.Duration            // before the next comes, where what it asks for is work
}

var sloths = []sloth{
	{"sends nothing", 5 * time.Second, func(*readers) []byte { return nil }, 0, 0},
	{"sends headers slowly", 5 * time.Second, func(*readers) []byte { return []byte("GET /api/ HTTP/1.1\r\nX-Slow: ") }, 'x', 0},
	{"sends a body slowly", 30 * time.Second, func(rs *readers) []byte {
		request := rs.list[0].request("POST", "/api/health-records/", newRecord)
		return request[:len(request)-len(newRecord)/2]
	}, 'x', 0},
	{"does not read", 60 * time.Second, func(rs *readers) []byte {
		return bytes.Repeat(rs.list[0].request("GET", "/api/health-records/?page_size=100", ""), 3)
	}, 0, 10 * time.Millisecond},
	{"is idle after a request", 60 * time.Second, func(rs *readers) []byte { return rs.list[0].request("GET", "/healthz", "") }, 0, 0},
}

// What others do meanwhile: little enough that they do not wait for each other.
const (
	others     = 16
	othersRate = 200 // requests a second, of all
)

// leisure is how much later than it must a connection may be seen closed, twice:
// the clients come one after the other.
const leisure = 10 * time.Second

// mostWait is how long the service may take to give memory back: the Go runtime
// does so at its leisure.
const mostWait = 5 * time.Minute

// slow has very many clients of each kind at once, and sees that they are cut
// off in time, that others are hardly slower, and that memory is given back.
func slow(ctx context.Context, o *options, r *report) error {
	s, err := newService(ctx, "")
	if err != nil {
		return err
	}
	p, err := openPractice(ctx, s)
	if err != nil {
		return err
	}
	defer p.close()
	rs, err := newReaders(ctx, p, o.seed, others, 100)
	if err != nil {
		return err
	}
	before := drive.Memory(s.pid())
	peak := before
	for _, kind := range sloths {
		if err := rs.meet(ctx, o, r, kind, &peak); err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	r.row("memory before, MiB", fmt.Sprintf("%.1f", before), "", true)
	r.row("memory at most, MiB", fmt.Sprintf("%.1f", peak), "", true)
	for end := time.Now().Add(mostWait); drive.Memory(s.pid()) > before*1.25 && time.Now().Before(end); {
		time.Sleep(time.Second)
	}
	r.most("memory in the end, MiB", drive.Memory(s.pid()), before*1.25)
	return nil
}

// meet measures the others without slow clients, with them, and without them
// again.
func (rs *readers) meet(ctx context.Context, o *options, r *report, kind sloth, peak *float64) error {
	if err := rs.list[0].renew(ctx); err != nil {
		return err
	}
	pid := rs.p.pid()
	alone, err := rs.load(ctx, others, othersRate, 0, o.span)
	if err != nil {
		return err
	}
	time.Sleep(goodbye)
	files := drive.Files(pid)
	clients, err := kind.open(ctx, rs, o.clients)
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	if err != nil {
		return err
	}
	closed := make(chan time.Duration, 1)
	go func() { closed <- left(pid, files+others, kind.close+leisure) }()
	beside, err := rs.load(ctx, others, othersRate, 0, o.span)
	if err != nil {
		return err
	}
	*peak = math.Max(*peak, drive.Memory(pid))
	r.most(fmt.Sprintf("%d clients, each %s: closed after, s", o.clients, kind.name), (<-closed).Seconds(), (kind.close + leisure/2).Seconds())
	time.Sleep(goodbye)
	r.most("  connections left", float64(max(drive.Files(pid)-files, 0)), 2)
	again, err := rs.load(ctx, others, othersRate, 0, o.span)
	if err != nil {
		return err
	}
	r.most("  p99 of the others meanwhile, ms", late(beside), 2*math.Max(late(alone), late(again)))
	return nil
}

// left waits until a process has no more files and connections open than some,
// but no longer than most, and returns how long that was.
func left(pid, some int, most time.Duration) time.Duration {
	begun := time.Now()
	for drive.Files(pid) > some+2 && time.Since(begun) < most {
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(begun)
}

// open opens clients that stay slow until they are cut off or closed.
func (kind sloth) open(ctx context.Context, rs *readers, n int) ([]net.Conn, error) {
	list := make([]net.Conn, 0, n)
	dialer := net.Dialer{Control: narrow}
	for range n {
		c, err := dialer.DialContext(ctx, "tcp", rs.p.address)
		if err != nil {
			return list, err
		}
		list = append(list, c)
		if _, err := c.Write(kind.first(rs)); err != nil {
			return list, err
		}
		if kind.drip != 0 {
			go kind.trickle(ctx, c)
		}
		time.Sleep(kind.pause)
	}
	return list, nil
}

// narrow makes a connection one as over a slow line, in whose buffers, here and
// on the service's side, an answer finds no room.
func narrow(_, _ string, c syscall.RawConn) (err error) {
	failed := c.Control(func(fd uintptr) {
		err = errors.Join(syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096),
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 536))
	})
	return errors.Join(failed, err)
}

func (kind sloth) trickle(ctx context.Context, c net.Conn) {
	for ctx.Err() == nil {
		time.Sleep(time.Second)
		if _, err := c.Write([]byte{kind.drip}); err != nil {
			return // cut off
		}
	}
}
