package main

import (
	"fmt"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"healthrecords/lambda/lambdatest"
)

// killedAtEveryStep has a patient take a doctor, and kills the program at the
// first message between it and the database, the mail server or Lambda, then,
// with another patient, at the second, and so on until it gets through. Then a
// schedule comes. A mail is sent exactly for those patients who have a doctor.
func killedAtEveryStep(t *testing.T, binary string) {
	p := newLambdaPractice(t, binary)
	m := newMailServer(t, nil)
	later := runOnLambda(t, binary, nil, p.environ("", mailTo(m)...)...)
	assigned, answered := 0, 0
	for n := int64(1); ; n++ {
		if n > 1000 {
			t.Fatal("the program never gets through")
		}
		id, token := p.patient(fmt.Sprint("patient", n))
		killed, replied := p.killAt(m, n, string(lambdatest.Event(lambdatest.HTTPAPI, p.assign(id, token, p.doctor))))
		// The end of leases, and of what the mail server's failure put off.
		p.query(`UPDATE outbox SET due_at = queued_at WHERE done_at IS NULL RETURNING id`)
		later.tick()
		has := len(p.query(`SELECT doctor_id FROM assignments WHERE patient_id = $1 AND ended_at IS NULL`, id))
		assigned += has
		if replied {
			answered++
		}
		if replied && has != 1 {
			t.Errorf("killed at step %d: the patient was told that it has a doctor, and has none", n)
		}
		p.wantSent(m, assigned)
		if t.Failed() || !killed {
			t.Logf("killed at %d steps; %d patients have a doctor, %d of them were told", n-1, assigned, answered)
			break
		}
	}
	if assigned == 0 || answered == 0 || assigned == answered {
		t.Errorf("%d patients have a doctor and %d were told, want some of both, and some who were not told", assigned, answered)
	}
}

// killAt runs a program that is sent an event and killed at its n-th step. It
// tells whether it was, and whether it had answered 200 before.
func (p *lambdaPractice) killAt(m *mailServer, n int64, event string) (killed, replied bool) {
	p.t.Helper()
	var steps atomic.Int64
	var e *lambdaRun
	started := make(chan struct{})
	step := func(string) bool {
		<-started
		switch at := steps.Add(1); {
		case at == n:
			e.kill()
			<-e.ended
			return false
		default:
			return at < n
		}
	}
	mail := newMailServer(p.t, step)
	mail.also = m
	e = runOnLambda(p.t, p.binary, step, p.environ(newWire(p.t, p.database, step).url, mailTo(mail)...)...)
	close(started)
	defer e.close()
	reply, ok := e.invoke(event)
	if ok {
		w := httptest.NewRecorder()
		if err := lambdatest.Answer(lambdatest.HTTPAPI, []byte(reply.body), w); err != nil || w.Code != 200 {
			p.t.Fatalf("killed at step %d: answer %s, want 200", n, reply.body)
		}
		e.waitIdle() // of the start
		e.waitIdle() // after all that follows the answer
	}
	select {
	case <-e.ended:
		killed = true
	default:
	}
	return killed, ok
}
