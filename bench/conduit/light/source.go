package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
)

// acksUnderWay is how many messages of acks may wait for the stream.
const acksUnderWay = 64

// takeRecords counts records and finds the position of each: one goroutine receives, another one acknowledges.
func takeRecords(p *plugin, w wishes) (seen, error) {
	var s seen
	keep, kept, err := keeper(w.Record)
	if err != nil {
		return s, err
	}
	if err := p.configure("SourcePlugin", w.Settings); err != nil {
		return s, err
	}
	began := time.Now()
	stream, err := p.run("SourcePlugin")
	if err != nil {
		return s, err
	}
	acks := make(chan []byte, acksUnderWay)
	sent := make(chan error, 1)
	go func() { sent <- sendAcks(stream, acks, w.Acks == "single") }()
	var message []byte
	for s.Records < w.Records {
		if err := stream.RecvMsg(&message); err != nil {
			return s, fmt.Errorf("run: %w", err)
		}
		s.Messages++
		s.Bytes += len(message)
		if err := keep(message); err != nil {
			return s, err
		}
		positions, err := readPositions(message, &s.Records)
		if err != nil {
			return s, err
		}
		if w.Acks != "none" {
			acks <- positions
		}
	}
	close(acks)
	if err := <-sent; err != nil {
		return s, fmt.Errorf("acks: %w", err)
	}
	s.Seconds = time.Since(began).Seconds()
	if err := p.call("SourcePlugin", "Stop", nil); err != nil {
		return s, err
	}
	if err := p.call("SourcePlugin", "Teardown", nil); err != nil {
		return s, err
	}
	return s, kept()
}

// readPositions gives the positions of a message's records as a message of acks: each is field 1 in both.
func readPositions(message []byte, records *int) ([]byte, error) {
	acks := make([]byte, 0, len(message)/2)
	for len(message) > 0 {
		_, record, _, rest, err := next(message)
		if err != nil {
			return nil, err
		}
		position, err := positionOf(record)
		if err != nil {
			return nil, err
		}
		acks = appendBytes(acks, 1, position)
		*records++
		message = rest
	}
	return acks, nil
}

// sendAcks sends those of a message as they come, or, `single`, each in a message of its own.
func sendAcks(stream grpc.ClientStream, acks <-chan []byte, single bool) error {
	for message := range acks {
		if !single {
			if err := stream.SendMsg(message); err != nil {
				return err
			}
			continue
		}
		for len(message) > 0 {
			_, _, _, rest, err := next(message)
			if err != nil {
				return err
			}
			if err := stream.SendMsg(message[:len(message)-len(rest)]); err != nil {
				return err
			}
			message = rest
		}
	}
	return nil
}

// keeper writes messages to a file, each behind the head that gRPC gives it; without a name it writes nothing.
func keeper(name string) (keep func([]byte) error, end func() error, err error) {
	if name == "" {
		return func([]byte) error { return nil }, func() error { return nil }, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, nil, err
	}
	buffered := bufio.NewWriterSize(file, 1<<20)
	keep = func(message []byte) error {
		if _, err := buffered.Write(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))); err != nil {
			return err
		}
		_, err := buffered.Write(message)
		return err
	}
	end = func() error {
		if err := buffered.Flush(); err != nil {
			return err
		}
		return file.Close()
	}
	return keep, end, nil
}
