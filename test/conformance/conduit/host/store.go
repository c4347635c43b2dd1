package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"

	"github.com/conduitio/conduit-commons/opencdc"
)

// store is what Conduit keeps of a pipeline in its database.
type store struct {
	file string
	// Source and Destination are the settings of the last successful start; nil: there was none.
	Source      map[string]string
	Destination map[string]string
	Position    opencdc.Position
}

func openStore(folder string) (*store, error) {
	s := &store{file: filepath.Join(folder, "store.json")}
	text, err := os.ReadFile(s.file)
	if os.IsNotExist(err) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	return s, json.Unmarshal(text, s)
}

func (s *store) save() error {
	return writeWhole(s.file, s)
}

func (s *store) setPosition(position opencdc.Position) error {
	s.Position = position
	return s.save()
}

// lifecycle calls what a start asks for: created at the first one, updated when settings are others.
func lifecycle(before, now map[string]string, created, updated func() error) error {
	if before == nil {
		return created()
	}
	if !maps.Equal(before, now) {
		return updated()
	}
	return nil
}
