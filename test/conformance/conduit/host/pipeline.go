package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/conduitio/conduit-commons/opencdc"
	"github.com/conduitio/conduit-connector-protocol/pconnector"
)

// pipeline leads records from a source to a sink, and acknowledges them once their position is stored.
type pipeline struct {
	config Config
	store  *store
	source source
	stream pconnector.SourceRunStreamClient
	cancel context.CancelFunc
	sink   sink

	mutex   sync.Mutex
	changed *sync.Cond
	// Written to the sink and not answered.
	pending []opencdc.Record
	// Answered, and not stored.
	answered []opencdc.Position
	received int
	nacked   int
	acked    int
	// Of the last record that was received.
	last    opencdc.Position
	letters *os.File
	failure error
	// Held while a batch is written and answered (v2).
	batch sync.Mutex
}

func newPipeline(config Config, store *store) (*pipeline, error) {
	p := &pipeline{config: config, store: store}
	p.changed = sync.NewCond(&p.mutex)
	if config.DeadLetters != "" {
		file, err := os.OpenFile(config.DeadLetters, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return nil, err
		}
		p.letters = file
	}
	return p, nil
}

// begin runs the source, whose Open was called.
func (p *pipeline) begin() error {
	ctx, cancel := context.WithCancel(context.Background())
	stream := p.source.NewStream()
	if err := p.source.Run(ctx, stream); err != nil {
		cancel()
		return err
	}
	p.stream, p.cancel = stream.Client(), cancel
	go p.receive(ctx)
	go p.acknowledge(ctx)
	return nil
}

func (p *pipeline) receive(ctx context.Context) {
	for {
		message, err := p.stream.Recv()
		if err != nil {
			if ctx.Err() == nil {
				p.fail(fmt.Errorf("source: run: %w", streamError(err)))
			}
			return
		}
		if err := p.take(message.Records); err != nil && ctx.Err() == nil {
			p.fail(err)
			return
		}
	}
}

func (p *pipeline) take(records []opencdc.Record) error {
	if p.config.Engine == "v2" {
		p.batch.Lock()
		defer p.batch.Unlock()
	}
	for i, record := range records {
		if len(record.Position) == 0 {
			return errors.New("source: a record without position")
		}
		if len(record.Metadata) > 0 {
			records[i].Metadata["conduit.source.connector.id"] = p.config.Pipeline + ":source"
		}
	}
	if len(records) == 0 {
		return nil
	}
	p.mutex.Lock()
	p.pending = append(p.pending, records...)
	p.mutex.Unlock()
	if err := p.sink.write(records); err != nil {
		return fmt.Errorf("destination: %w", err)
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.received += len(records)
	p.last = records[len(records)-1].Position
	p.changed.Broadcast()
	for p.config.Engine == "v2" && len(p.pending) > 0 && p.failure == nil {
		p.changed.Wait()
	}
	return nil
}

// answers takes what the sink says of the oldest records.
func (p *pipeline) answers(all []answer) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, one := range all {
		if len(p.pending) == 0 || !bytes.Equal(p.pending[0].Position, one.position) {
			return fmt.Errorf("destination: received unexpected ack of %s", one.position)
		}
		if one.problem != "" {
			if err := p.letter(p.pending[0], one.problem); err != nil {
				return err
			}
		}
		p.answered = append(p.answered, one.position)
		p.pending = p.pending[1:]
	}
	p.changed.Broadcast()
	return nil
}

// letter is for a nacked record: to the dead letters, where any number may go, or the end of the run.
func (p *pipeline) letter(record opencdc.Record, problem string) error {
	p.nacked++
	if p.letters == nil {
		return fmt.Errorf("destination: nacked: %s", problem)
	}
	text, err := json.Marshal(map[string]any{"position": string(record.Position), "problem": problem})
	if err != nil {
		return err
	}
	_, err = p.letters.Write(append(text, '\n'))
	return err
}

// acknowledge stores positions, and then acks them.
func (p *pipeline) acknowledge(ctx context.Context) {
	for {
		p.mutex.Lock()
		for len(p.answered) == 0 {
			p.changed.Wait()
		}
		p.mutex.Unlock()
		time.Sleep(time.Duration(p.config.StoreEveryMs) * time.Millisecond)
		p.mutex.Lock()
		positions := p.answered
		p.answered = nil
		p.mutex.Unlock()
		err := p.ack(positions)
		if err != nil && ctx.Err() == nil {
			p.fail(err)
			return
		}
		p.mutex.Lock()
		p.acked += len(positions)
		p.changed.Broadcast()
		p.mutex.Unlock()
	}
}

func (p *pipeline) ack(positions []opencdc.Position) error {
	if err := p.store.setPosition(positions[len(positions)-1]); err != nil {
		return err
	}
	if p.config.Engine == "v2" {
		return p.stream.Send(pconnector.SourceRunRequest{AckPositions: positions})
	}
	for _, position := range positions {
		err := p.stream.Send(pconnector.SourceRunRequest{AckPositions: []opencdc.Position{position}})
		if err != nil {
			return err
		}
	}
	return nil
}

// stop ends it in the order of the engine. Gives what Stop answered (v1).
func (p *pipeline) stop() (opencdc.Position, error) {
	if p.config.Engine == "v2" {
		// Nothing is cut: what was received is written, answered and acknowledged.
		p.batch.Lock()
		err := p.wait(func() bool { return p.acked == p.received })
		p.cancel()
		return nil, err
	}
	answer, err := p.source.Stop(context.Background(), pconnector.SourceStopRequest{})
	if err != nil {
		return nil, fmt.Errorf("source: stop: %w", err)
	}
	last := answer.LastPosition
	if len(last) > 0 {
		if err := p.wait(func() bool { return bytes.Equal(p.last, last) }); err != nil {
			return last, err
		}
	}
	if err := p.sink.stop(last); err != nil {
		return last, fmt.Errorf("destination: stop: %w", err)
	}
	err = p.wait(func() bool { return p.acked == p.received })
	p.cancel()
	return last, err
}

// wait returns when it is so, or the pipeline has failed.
func (p *pipeline) wait(is func() bool) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for !is() && p.failure == nil {
		p.changed.Wait()
	}
	return p.failure
}

func (p *pipeline) fail(err error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.failure == nil {
		p.failure = err
	}
	p.changed.Broadcast()
}
