package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// fault is something wrong with the disk, until it is mended.
type fault struct {
	name   string
	begin  func(context.Context, *service) (mend func(), err error)
	closed bool // nothing at all can be written meanwhile
}

// mostRecovery is how soon a write must be done again when the disk is well.
const mostRecovery = 5 * time.Second

// full writes all that can be written while the disk is full, or answers that it
// could not write. Each kind of write meets each fault.
func full(ctx context.Context, o *options, r *report) error {
	if _, err := exec.LookPath("strace"); err != nil {
		return missing{"strace"}
	}
	disk, err := mountSmall()
	if err != nil {
		return err
	}
	defer unmount(disk)
	s, err := newService(ctx, filepath.Join(disk, "data"))
	if err != nil {
		return err
	}
	p, err := openPractice(ctx, s)
	if err != nil {
		return err
	}
	defer p.close()
	writers, err := newWriters(ctx, p, o.seed, 1)
	if err != nil {
		return err
	}
	d := &diskTrial{p: p, w: writers[0]}
	for _, f := range faults(o) {
		if err := d.meet(ctx, f); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	d.report(r, true)
	r.none("deaths of the process", d.deaths)
	r.none("not alive, or ready although nothing can be written", d.unwell)
	r.none("trails that did not verify", d.broken)
	r.most("slowest recovery, ms", milliseconds(d.slowest), milliseconds(mostRecovery))
	p.reportMail(r, writers, len(faults(o)))
	return nil
}

// mountSmall makes a disk of 128 MiB in memory.
func mountSmall() (string, error) {
	dir, err := os.MkdirTemp("", "fire-disk")
	if err != nil {
		return "", err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=128m,mode=0700"); err != nil {
		os.Remove(dir)
		return "", missing{"root, to mount a tmpfs: " + err.Error()}
	}
	return dir, os.Mkdir(filepath.Join(dir, "data"), 0o700)
}

func unmount(disk string) {
	if err := syscall.Unmount(disk, syscall.MNT_DETACH); err == nil {
		os.Remove(disk)
	}
}

// faults are a disk with no room, or with a little, and calls that fail: all of
// a kind from now on, or one in the middle of a write.
func faults(o *options) []fault {
	var list []fault
	random := rand.New(rand.NewPCG(o.seed, 0))
	for i := range o.cycles {
		room := int64(i) * int64(random.IntN(64<<10))
		list = append(list, fault{fmt.Sprintf("full but for %d bytes", room), fillDisk(room), true})
	}
	for _, call := range []string{"pwrite64:error=ENOSPC", "pwrite64:error=EIO", "fsync,fdatasync:error=EIO", "fsync,fdatasync:error=ENOSPC",
		"ftruncate:error=EIO", "pread64:error=EIO", "fsync,fdatasync:error=EIO:when=1", "pwrite64:error=EIO:when=3", "pwrite64:error=ENOSPC:when=2+3"} {
		list = append(list, fault{call, inject(call), false})
	}
	return list
}

// fillDisk takes all the room of the disk but some bytes.
func fillDisk(room int64) func(context.Context, *service) (func(), error) {
	return func(_ context.Context, s *service) (func(), error) {
		ballast, err := os.Create(filepath.Join(filepath.Dir(s.data), "ballast"))
		if err != nil {
			return nil, err
		}
		defer ballast.Close()
		size := int64(0)
		for chunk := make([]byte, 4096); err == nil; size += int64(len(chunk)) {
			_, err = ballast.Write(chunk)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return nil, err
		}
		return func() { os.Remove(ballast.Name()) }, ballast.Truncate(max(size-room, 0))
	}
}

// inject has system calls of the service on its database fail (strace(1)).
func inject(call string) func(context.Context, *service) (func(), error) {
	return func(_ context.Context, s *service) (func(), error) {
		names, _, _ := strings.Cut(call, ":")
		args := []string{"-f", "-p", fmt.Sprint(s.pid()), "-o", "/dev/null", "-e", "trace=" + names, "-e", "inject=" + call}
		for _, end := range []string{"", "-wal", "-shm"} {
			args = append(args, "-P", filepath.Join(s.data, "health.db"+end))
		}
		c := exec.Command("strace", args...)
		says, err := c.StderrPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			return nil, err
		}
		end := func() {
			_ = c.Process.Signal(syscall.SIGTERM) // it leaves the service alone then
			_ = c.Wait()
		}
		for in := bufio.NewScanner(says); in.Scan(); {
			if strings.Contains(in.Text(), "attached") {
				return end, nil
			}
		}
		end()
		return nil, missing{"a strace that may attach to a process"}
	}
}

// diskTrial is one writer and what it has met.
type diskTrial struct {
	tally
	p                      *practice
	w                      *writer
	deaths, unwell, broken int
	slowest                time.Duration
}

// meet does every deed twice during a fault, then mends it, looks, and does the
// deed again. In the end the service is killed, and must still know all of it.
func (d *diskTrial) meet(ctx context.Context, f fault) error {
	before, began := d.acknowledged, d.unavailable
	for _, deed := range deeds {
		if err := d.w.stock(ctx, d.p, deed); err != nil {
			return fmt.Errorf("before %s: %w", deed.name, err)
		}
		mend, err := f.begin(ctx, d.p.service)
		if err != nil {
			return err
		}
		if f.closed && !d.exhaust(ctx) {
			d.unwell++
		}
		for range 2 {
			if status := deed.do(d.w, ctx); status != none {
				d.count(deed.name, status)
			}
		}
		if d.p.probe("/healthz") != 200 {
			d.unwell++
		}
		mend()
		if !d.p.alive() {
			d.deaths++
			if _, err := d.p.start(); err != nil {
				return err
			}
		}
		d.recover(ctx, deed)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	fmt.Printf("  %-56s %12s\n", f.name, fmt.Sprintf("%d / %d", d.acknowledged-before, d.unavailable-began))
	d.p.kill()
	if _, err := d.p.start(); err != nil {
		return err
	}
	d.look(ctx, []*writer{d.w}, (*writer).lookAtAll)
	if err := d.p.verify(ctx); err != nil {
		d.broken++
		d.wrong(err)
	}
	return d.p.renew(ctx, []*writer{d.w})
}

// stock does what must be done before a deed can be done three times.
func (w *writer) stock(ctx context.Context, p *practice, d deed) error {
	for _, name := range d.before {
		for range 3 {
			if status := deedNamed(name).do(w, ctx); status != none && !acknowledged(status) {
				return fmt.Errorf("%s: answered %d", name, status)
			}
		}
	}
	p.mail.wait(time.Minute)
	return nil
}

// exhaust writes until the service says that it is not ready: a log that begins
// anew has room inside. It tells whether it came to that.
func (d *diskTrial) exhaust(ctx context.Context) bool {
	for range 10_000 {
		status := d.w.create(ctx, records)
		if d.count("create record", status); !acknowledged(status) && !d.p.ready() {
			return true
		}
	}
	return false
}

// recover waits until a write is done again, looks at all that was written, and
// does the deed that failed.
func (d *diskTrial) recover(ctx context.Context, done deed) {
	mended := time.Now()
	for status := 0; !acknowledged(status) && time.Since(mended) < 2*mostRecovery; time.Sleep(20 * time.Millisecond) {
		status = d.w.create(ctx, records)
	}
	d.slowest = max(d.slowest, time.Since(mended))
	d.look(ctx, []*writer{d.w}, (*writer).look)
	status := done.do(d.w, ctx)
	if status != none && !acknowledged(status) {
		d.wrong(fmt.Errorf("%s, when the disk is well again: answered %d", done.name, status))
	}
	d.look(ctx, []*writer{d.w}, (*writer).look)
}
