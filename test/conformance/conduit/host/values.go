package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"sort"
	"strconv"
	"time"

	"github.com/conduitio/conduit-commons/opencdc"
)

// line is a record in the output: each value with the kind that conduit-commons decoded it to, and its whole value as text.
type line struct {
	Position  string            `json:"position"`
	Operation string            `json:"operation"`
	Metadata  map[string]string `json:"metadata"`
	Key       any               `json:"key"`
	Before    any               `json:"before"`
	After     any               `json:"after"`
}

// reader decodes records as Conduit's destinations do.
type reader struct{ schemas *schemas }

func (r reader) line(record opencdc.Record) (line, error) {
	key, err := r.data(record.Key, record.Metadata, "key")
	if err != nil {
		return line{}, err
	}
	before, err := r.data(record.Payload.Before, record.Metadata, "payload")
	if err != nil {
		return line{}, err
	}
	after, err := r.data(record.Payload.After, record.Metadata, "payload")
	if err != nil {
		return line{}, err
	}
	return line{
		Position: string(record.Position), Operation: record.Operation.String(), Metadata: record.Metadata,
		Key: plain(key), Before: plain(before), After: plain(after),
	}, nil
}

// decode is line without making anything of it.
func (r reader) decode(record opencdc.Record) error {
	for part, data := range map[string]opencdc.Data{"key": record.Key} {
		if _, err := r.data(data, record.Metadata, part); err != nil {
			return err
		}
	}
	for _, data := range []opencdc.Data{record.Payload.Before, record.Payload.After} {
		if _, err := r.data(data, record.Metadata, "payload"); err != nil {
			return err
		}
	}
	return nil
}

// data gives nil, a map, or text that is no Avro.
func (r reader) data(data opencdc.Data, metadata opencdc.Metadata, part string) (any, error) {
	switch data := data.(type) {
	case nil:
		return nil, nil
	case opencdc.StructuredData:
		return map[string]any(data), nil
	case opencdc.RawData:
		subject, has := metadata["opencdc."+part+".schema.subject"]
		if !has {
			return rawText(data), nil
		}
		version, err := strconv.Atoi(metadata["opencdc."+part+".schema.version"])
		if err != nil {
			return nil, fmt.Errorf("version of the schema of the %s: %w", part, err)
		}
		found, err := r.schemas.lookUp(subject, version)
		if err != nil {
			return nil, fmt.Errorf("schema %s:%d of the %s: %w", subject, version, part, err)
		}
		var decoded opencdc.StructuredData
		if err := found.Unmarshal(data, &decoded); err != nil {
			return nil, err
		}
		return map[string]any(decoded), nil
	}
	return nil, fmt.Errorf("data of the %s is a %T", part, data)
}

// rawText is raw data without a schema; it is told apart from a string of a row.
type rawText string

// plain makes JSON of what was decoded: every value as [kind, text].
func plain(value any) any {
	switch value := value.(type) {
	case nil:
		return nil
	case rawText:
		return map[string]any{"raw": string(value)}
	case bool:
		return []any{"boolean", strconv.FormatBool(value)}
	case int:
		return []any{"int", strconv.Itoa(value)}
	case int32:
		return []any{"int", strconv.FormatInt(int64(value), 10)}
	case int64:
		return []any{"long", strconv.FormatInt(value, 10)}
	case float32:
		return []any{"float", strconv.FormatFloat(float64(value), 'g', -1, 32)}
	case float64:
		return []any{"double", strconv.FormatFloat(value, 'g', -1, 64)}
	case string:
		return []any{"string", value}
	case []byte:
		return []any{"bytes", hex.EncodeToString(value)}
	case *big.Rat:
		return []any{"decimal", rational(value)}
	case big.Rat:
		return []any{"decimal", rational(&value)}
	case time.Time:
		return []any{"time", value.UTC().Format(time.RFC3339Nano)}
	case time.Duration:
		return []any{"duration", strconv.FormatInt(value.Microseconds(), 10)}
	case []any:
		items := make([]any, len(value))
		for i, item := range value {
			items[i] = plain(item)
		}
		return []any{"array", items}
	case map[string]any:
		names := make([]string, 0, len(value))
		for name := range value {
			names = append(names, name)
		}
		sort.Strings(names)
		fields := make(map[string]any, len(value))
		for _, name := range names {
			fields[name] = plain(value[name])
		}
		return fields
	}
	return []any{fmt.Sprintf("%T", value), fmt.Sprint(value)}
}

// rational has all digits, and no zero behind them.
func rational(value *big.Rat) string {
	digits, exact := value.FloatPrec()
	if !exact {
		return value.RatString()
	}
	return value.FloatString(digits)
}

func encodeLine(line line) ([]byte, error) {
	text, err := json.Marshal(line)
	return append(text, '\n'), err
}
