package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/conduitio/conduit-commons/opencdc"
	"github.com/conduitio/conduit-connector-protocol/pconnector"
)

// sink takes records; each is answered in their order, empty: it is stored, else why not.
type sink interface {
	write(records []opencdc.Record) error
	// stop returns when all up to the last record written are answered.
	stop(last opencdc.Position) error
	// end is for every state.
	end() error
}

// answer is told to the pipeline for every record.
type answer struct {
	position opencdc.Position
	problem  string
}

// fileSink appends what it decodes to a file.
type fileSink struct {
	reader  reader
	file    *os.File
	answers func([]answer) error
}

func openFileSink(path string, reader reader, answers func([]answer) error) (*fileSink, error) {
	if err := cutPartialLine(path); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	return &fileSink{reader: reader, file: file, answers: answers}, err
}

func (s *fileSink) write(records []opencdc.Record) error {
	var lines bytes.Buffer
	stored := make([]answer, 0, len(records))
	for _, record := range records {
		decoded, err := s.reader.line(record)
		if err != nil {
			return err
		}
		text, err := encodeLine(decoded)
		if err != nil {
			return err
		}
		lines.Write(text)
		stored = append(stored, answer{position: record.Position})
	}
	if _, err := s.file.Write(lines.Bytes()); err != nil {
		return err
	}
	return s.answers(stored)
}

func (s *fileSink) stop(opencdc.Position) error { return nil }
func (s *fileSink) end() error                  { return s.file.Close() }

// cutPartialLine removes what a killed host has not written whole; none of it was answered.
func cutPartialLine(path string) error {
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Truncate(path, int64(bytes.LastIndexByte(text, '\n')+1))
}

// dropSink counts, and decodes if it is asked to.
type dropSink struct {
	reader  reader
	decode  bool
	answers func([]answer) error
}

func (s *dropSink) write(records []opencdc.Record) error {
	stored := make([]answer, 0, len(records))
	for _, record := range records {
		if s.decode {
			if err := s.reader.decode(record); err != nil {
				return err
			}
		}
		stored = append(stored, answer{position: record.Position})
	}
	return s.answers(stored)
}

func (s *dropSink) stop(opencdc.Position) error { return nil }
func (s *dropSink) end() error                  { return nil }

// pluginSink is a destination: one record a message, or as they come.
type pluginSink struct {
	destination destination
	stream      pconnector.DestinationRunStreamClient
	cancel      context.CancelFunc
	single      bool
}

func openPluginSink(d destination, single bool, answers func([]answer) error, failed func(error)) (*pluginSink, error) {
	if _, err := d.Open(context.Background(), pconnector.DestinationOpenRequest{}); err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stream := d.NewStream()
	if err := d.Run(ctx, stream); err != nil {
		cancel()
		return nil, fmt.Errorf("run: %w", err)
	}
	s := &pluginSink{destination: d, stream: stream.Client(), cancel: cancel, single: single}
	go func() {
		for {
			message, err := s.stream.Recv()
			if err != nil {
				if ctx.Err() == nil {
					failed(fmt.Errorf("run: %w", streamError(err)))
				}
				return
			}
			all := make([]answer, 0, len(message.Acks))
			for _, ack := range message.Acks {
				all = append(all, answer{position: ack.Position, problem: ack.Error})
			}
			if err := answers(all); err != nil {
				failed(err)
				return
			}
		}
	}()
	return s, nil
}

func (s *pluginSink) write(records []opencdc.Record) error {
	if !s.single {
		return s.stream.Send(pconnector.DestinationRunRequest{Records: records})
	}
	for _, record := range records {
		if err := s.stream.Send(pconnector.DestinationRunRequest{Records: []opencdc.Record{record}}); err != nil {
			return err
		}
	}
	return nil
}

func (s *pluginSink) stop(last opencdc.Position) error {
	_, err := s.destination.Stop(context.Background(), pconnector.DestinationStopRequest{LastPosition: last})
	return err
}

func (s *pluginSink) end() error {
	s.cancel()
	_, err := s.destination.Teardown(context.Background(), pconnector.DestinationTeardownRequest{})
	return err
}

func streamError(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("stream was stopped unexpectedly: EOF")
	}
	return err
}
