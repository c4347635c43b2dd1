package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// subject has its versions' texts; in JSON it is [name, [text in base64, …]].
type subject struct {
	name  string
	texts [][]byte
}

func (s subject) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{s.name, s.texts})
}

func (s *subject) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&s.name, &s.texts})
}

// registry is Conduit's service of schemas: every text of a subject is a version of its own.
type registry struct {
	mutex    sync.Mutex
	subjects []subject
	target   string
}

func startRegistry(known []subject) (*registry, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &registry{subjects: known, target: listener.Addr().String()}
	server := grpc.NewServer(grpc.ForceServerCodecV2(raw{}), grpc.UnknownServiceHandler(r.answer))
	go server.Serve(listener)
	return r, nil
}

func (r *registry) answer(_ any, stream grpc.ServerStream) error {
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	var name string
	var text []byte
	var version uint64
	for len(request) > 0 {
		number, value, varint, rest, err := next(request)
		if err != nil {
			return err
		}
		switch number {
		case 1:
			name = string(value)
		case 2: // of GetSchema the version, of CreateSchema the type
			version = varint
		case 3:
			text = bytes.Clone(value)
		}
		request = rest
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if method, _ := grpc.MethodFromServerStream(stream); strings.HasSuffix(method, "/CreateSchema") {
		version = r.versionOf(name, text)
	}
	text = r.textOf(name, version)
	if text == nil {
		return status.Error(codes.NotFound, fmt.Sprintf("there is no version %d of %s", version, name))
	}
	schema := appendBytes(nil, 1, []byte(name))
	schema = appendNumber(schema, 2, version)
	schema = appendNumber(schema, 3, version)
	schema = appendNumber(schema, 4, 1)
	return stream.SendMsg(appendBytes(nil, 1, appendBytes(schema, 5, text)))
}

// versionOf gives that of a text, which is a new one where there was none.
func (r *registry) versionOf(name string, text []byte) uint64 {
	for i := range r.subjects {
		if r.subjects[i].name != name {
			continue
		}
		for version, one := range r.subjects[i].texts {
			if bytes.Equal(one, text) {
				return uint64(version + 1)
			}
		}
		r.subjects[i].texts = append(r.subjects[i].texts, text)
		return uint64(len(r.subjects[i].texts))
	}
	r.subjects = append(r.subjects, subject{name, [][]byte{text}})
	return 1
}

func (r *registry) textOf(name string, version uint64) []byte {
	for _, one := range r.subjects {
		if one.name == name && version >= 1 && version <= uint64(len(one.texts)) {
			return one.texts[version-1]
		}
	}
	return nil
}
