// A small host of Conduit plugins, on the client code with which Conduit itself launches and calls them. It is driven by
// test/conformance/conduit: `host COMMAND CONFIG.json`, what it has to say comes as lines of JSON on standard output.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// Config is what a command works on; the driver writes it.
type Config struct {
	// Plugin is the executable.
	Plugin string `json:"plugin"`
	// Engine is v1 (one position a message, Stop) or v2 (batches, cancel).
	Engine string `json:"engine"`
	// Folder keeps what Conduit keeps in its database: positions, schemas, settings of the last start.
	Folder string `json:"folder"`
	// Pipeline is the first half of the connectors' ids.
	Pipeline string            `json:"pipeline"`
	LogLevel string            `json:"logLevel"`
	Source   map[string]string `json:"source"`
	// Destination holds the settings of ours; nil: see Output.
	Destination map[string]string `json:"destination"`
	// Output is a file of NDJSON; empty without Destination: records are counted and dropped.
	Output string `json:"output"`
	// Decode has records decoded that are dropped.
	Decode bool `json:"decode"`
	// DeadLetters is a file of NDJSON that takes any number of nacked records; empty: the first nack ends the run.
	DeadLetters string `json:"deadLetters"`
	// StoreEveryMs is how long a position waits until it is stored, and acked.
	StoreEveryMs int `json:"storeEveryMs"`
	// Until ends the run after so many records; 0: by SIGTERM.
	Until int `json:"until"`
}

func main() {
	if len(os.Args) != 3 {
		fail("usage", fmt.Errorf("host specify|validate|run|deleted CONFIG.json"))
	}
	config, err := readConfig(os.Args[2])
	if err != nil {
		fail("config", err)
	}
	switch os.Args[1] {
	case "specify":
		err = specify(config)
	case "validate":
		err = validate(config)
	case "run":
		err = run(config)
	case "deleted":
		err = deleted(config)
	default:
		err = fmt.Errorf("there is no command %s", os.Args[1])
	}
	if err != nil {
		fail(os.Args[1], err)
	}
}

func readConfig(path string) (Config, error) {
	config := Config{Engine: "v1", Pipeline: "pipeline", LogLevel: "info"}
	text, err := os.ReadFile(path)
	if err != nil {
		return config, err
	}
	return config, json.Unmarshal(text, &config)
}

// tell prints an event.
func tell(event string, facts map[string]any) {
	if facts == nil {
		facts = map[string]any{}
	}
	facts["event"] = event
	line, err := json.Marshal(facts)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(append(line, '\n'))
}

func fail(what string, err error) {
	tell("failed", map[string]any{"what": what, "error": err.Error()})
	os.Exit(1)
}
