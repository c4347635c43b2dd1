package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/conduitio/conduit-commons/schema"
	"github.com/conduitio/conduit-connector-protocol/pconnutils"
)

// schemas is a registry as Conduit's: equal text in one subject is one version, versions begin at 1. It lives in a file,
// since Conduit's survives it, too.
type schemas struct {
	mutex  sync.Mutex
	file   string
	tokens map[string]bool
	// All lists them in the order of their ids, which begin at 1.
	all []schema.Schema
	// Calls counts what plugins have asked.
	created, got int
}

func openSchemas(folder string) (*schemas, error) {
	s := &schemas{file: filepath.Join(folder, "schemas.json"), tokens: map[string]bool{}}
	text, err := os.ReadFile(s.file)
	if os.IsNotExist(err) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	return s, json.Unmarshal(text, &s.all)
}

// newToken is the value of a connector's token.
func (s *schemas) newToken() string {
	return rand.Text()
}

// allow takes calls with this token, which are refused otherwise.
func (s *schemas) allow(token string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.tokens[token] = true
}

func (s *schemas) CreateSchema(ctx context.Context, request pconnutils.CreateSchemaRequest) (pconnutils.CreateSchemaResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var none pconnutils.CreateSchemaResponse
	if err := s.check(ctx); err != nil {
		return none, err
	}
	s.created++
	version := 1
	for _, one := range s.all {
		if one.Subject != request.Subject {
			continue
		}
		if bytes.Equal(one.Bytes, request.Bytes) {
			return pconnutils.CreateSchemaResponse{Schema: one}, nil
		}
		version++
	}
	made := schema.Schema{
		Subject: request.Subject, Version: version, ID: len(s.all) + 1, Type: request.Type, Bytes: request.Bytes,
	}
	if _, err := made.Serde(); err != nil {
		return none, fmt.Errorf("%w: %w", pconnutils.ErrInvalidSchema, err)
	}
	s.all = append(s.all, made)
	if err := writeWhole(s.file, s.all); err != nil {
		return none, err
	}
	return pconnutils.CreateSchemaResponse{Schema: made}, nil
}

func (s *schemas) GetSchema(ctx context.Context, request pconnutils.GetSchemaRequest) (pconnutils.GetSchemaResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if err := s.check(ctx); err != nil {
		return pconnutils.GetSchemaResponse{}, err
	}
	s.got++
	found, err := s.find(request.Subject, request.Version)
	return pconnutils.GetSchemaResponse{Schema: found}, err
}

// lookUp is for the host itself.
func (s *schemas) lookUp(subject string, version int) (schema.Schema, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.find(subject, version)
}

func (s *schemas) find(subject string, version int) (schema.Schema, error) {
	known := false
	for _, one := range s.all {
		if one.Subject != subject {
			continue
		}
		known = true
		if one.Version == version {
			return one, nil
		}
	}
	if known {
		return schema.Schema{}, pconnutils.ErrVersionNotFound
	}
	return schema.Schema{}, pconnutils.ErrSubjectNotFound
}

func (s *schemas) check(ctx context.Context) error {
	token := pconnutils.ConnectorTokenFromContext(ctx)
	if !s.tokens[token] {
		return fmt.Errorf("%q: invalid token", token)
	}
	return nil
}

// writeWhole replaces a file so that a killed host leaves the old one or the new one.
func writeWhole(path string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	file, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	if _, err := file.Write(text); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
