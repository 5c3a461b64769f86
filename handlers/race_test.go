//go:build race

package handlers_test

// raceDetector tells that everything takes some ten times as long.
const raceDetector = true
