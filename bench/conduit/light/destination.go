package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"
)

// answersUnread is far more than there are messages: acks are taken whatever the sender waits for.
const answersUnread = 1 << 16

// answer is how many records are acked by now, or why no more will be.
type answer struct {
	acked int
	err   error
}

// sendRecords sends the messages of a file; `ahead` of them may be without their acks.
func sendRecords(p *plugin, w wishes) (seen, error) {
	var s seen
	file, err := os.Open(w.Recorded)
	if err != nil {
		return s, err
	}
	defer file.Close()
	if err := p.configure("DestinationPlugin", w.Settings); err != nil {
		return s, err
	}
	began := time.Now()
	stream, err := p.run("DestinationPlugin")
	if err != nil {
		return s, err
	}
	answers := make(chan answer, answersUnread)
	go receiveAcks(stream, answers)
	sent, last, open := 0, []byte(nil), []int(nil)
	wait := func() error {
		now := <-answers
		s.Records = now.acked
		for len(open) > 0 && open[0] <= now.acked {
			open = open[1:]
		}
		return now.err
	}
	frames := bufio.NewReaderSize(file, 1<<20)
	for {
		message, err := readFrame(frames)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return s, err
		}
		for len(open) >= w.Ahead {
			if err := wait(); err != nil {
				return s, err
			}
		}
		records, position, err := lastOf(message)
		if err != nil {
			return s, err
		}
		sent += records
		last = position
		open = append(open, sent)
		s.Messages++
		s.Bytes += len(message)
		if err := stream.SendMsg(message); err != nil {
			return s, err
		}
	}
	if err := p.call("DestinationPlugin", "Stop", appendBytes(nil, 1, last)); err != nil {
		return s, err
	}
	for s.Records < sent {
		if err := wait(); err != nil {
			return s, err
		}
	}
	s.Seconds = time.Since(began).Seconds()
	return s, p.call("DestinationPlugin", "Teardown", nil)
}

// receiveAcks counts them, for ever; a nack is an error.
func receiveAcks(stream grpc.ClientStream, answers chan<- answer) {
	var response []byte
	acked := 0
	for {
		err := stream.RecvMsg(&response)
		for message := response; err == nil && len(message) > 0; {
			var ack []byte
			if _, ack, _, message, err = next(message); err == nil {
				err = nackIn(ack)
				acked++
			}
		}
		answers <- answer{acked, err}
		if err != nil {
			return
		}
	}
}

// nackIn gives the error of field 2.
func nackIn(ack []byte) error {
	for len(ack) > 0 {
		number, value, _, rest, err := next(ack)
		if err != nil {
			return err
		}
		if number == 2 && len(value) > 0 {
			return fmt.Errorf("a record was nacked: %s", value)
		}
		ack = rest
	}
	return nil
}

// lastOf counts a message's records, and gives the position of the last.
func lastOf(message []byte) (records int, position []byte, err error) {
	var record []byte
	for len(message) > 0 {
		if _, record, _, message, err = next(message); err != nil {
			return 0, nil, err
		}
		records++
	}
	position, err = positionOf(record)
	return records, position, err
}

// readFrame gives a message of a file of frames; io.EOF behind the last.
func readFrame(frames *bufio.Reader) ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(frames, head[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint32(head[1:]))
	_, err := io.ReadFull(frames, message)
	return message, err
}
