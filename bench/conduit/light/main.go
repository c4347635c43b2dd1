// A host of plugins that neither encodes nor decodes records, with the gRPC that Conduit has: what a plugin does is
// measured, not what becomes of it. `light source` takes records and acknowledges them, `light destination` sends what was
// taken before. Its wishes are JSON in BENCH_CONDUIT, as those of sourceClient.mjs and destinationClient.mjs; it prints
// what it saw.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"syscall"
)

// wishes are described where sourceClient.mjs and destinationClient.mjs read them.
type wishes struct {
	File     string            `json:"file"`
	Settings map[string]string `json:"settings"`
	Records  int               `json:"records"`
	Acks     string            `json:"acks"`
	Record   string            `json:"record"`
	Recorded string            `json:"recorded"`
	Schemas  []subject         `json:"schemas"`
	Ahead    int               `json:"ahead"`
}

// seen has seconds from the opened plugin to the last record or ack; CPU seconds; memory in MB.
type seen struct {
	Records   int       `json:"records"`
	Messages  int       `json:"messages"`
	Bytes     int       `json:"bytes"`
	Seconds   float64   `json:"seconds"`
	PluginCPU float64   `json:"pluginCpu"`
	PluginRSS float64   `json:"pluginRss"`
	ClientCPU float64   `json:"clientCpu"`
	Schemas   []subject `json:"schemas"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var w wishes
	if err := json.Unmarshal([]byte(os.Getenv("BENCH_CONDUIT")), &w); err != nil {
		return err
	}
	p, err := launch(w)
	if err != nil {
		return err
	}
	var s seen
	switch role := os.Args[1]; role {
	case "source":
		s, err = takeRecords(p, w)
	case "destination":
		s, err = sendRecords(p, w)
	default:
		err = fmt.Errorf("%q is neither source nor destination", role)
	}
	if err != nil {
		p.kill()
		return err
	}
	if s.PluginCPU, s.PluginRSS, err = p.end(); err != nil {
		return err
	}
	if s.Records != w.Records {
		return fmt.Errorf("%d records came or were acked, not %d", s.Records, w.Records)
	}
	s.Schemas = p.registry.subjects
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return err
	}
	s.ClientCPU = float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
	return json.NewEncoder(os.Stdout).Encode(s)
}
