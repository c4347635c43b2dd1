package main

import (
	"fmt"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// raw has messages as the bytes they are; a *[]byte that is received into is used again.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(message.([]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, message any) error {
	into := message.(*[]byte)
	length := data.Len()
	if cap(*into) < length {
		*into = make([]byte, length+length/8)
	}
	*into = (*into)[:length]
	data.CopyTo(*into)
	return nil
}

// next takes one field off the front of a message: its number, its bytes or its number's value, and what follows.
func next(message []byte) (number protowire.Number, value []byte, varint uint64, rest []byte, err error) {
	number, kind, length := protowire.ConsumeTag(message)
	if length < 0 {
		return 0, nil, 0, nil, fmt.Errorf("a tag: %w", protowire.ParseError(length))
	}
	message = message[length:]
	switch kind {
	case protowire.BytesType:
		value, length = protowire.ConsumeBytes(message)
	case protowire.VarintType:
		varint, length = protowire.ConsumeVarint(message)
	default:
		length = protowire.ConsumeFieldValue(number, kind, message)
	}
	if length < 0 {
		return 0, nil, 0, nil, fmt.Errorf("field %d: %w", number, protowire.ParseError(length))
	}
	return number, value, varint, message[length:], nil
}

func appendBytes(message []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(message, number, protowire.BytesType), value)
}

func appendNumber(message []byte, number protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(message, number, protowire.VarintType), value)
}

// positionOf finds field 1 of a record.
func positionOf(record []byte) ([]byte, error) {
	for len(record) > 0 {
		number, value, _, rest, err := next(record)
		if err != nil {
			return nil, err
		}
		if number == 1 {
			return value, nil
		}
		record = rest
	}
	return nil, fmt.Errorf("a record without a position")
}
