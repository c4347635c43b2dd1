"""PyAirbyte, told what to do by main.ts: one JSON document a line on standard input, one answer each on descriptor 3."""

import json
import os
import sys

import airbyte as ab
import airbyte._connector_base as connector_base
from airbyte_protocol.models import AirbyteMessage

SHOWN = 5


class Checked:
    """Stands where PyAirbyte parses a line: it takes one that the models reject for free text, and goes on."""

    lines = 0
    rejected: list = []
    types: dict = {}
    logs: list = []

    @classmethod
    def model_validate_json(cls, json_data):
        cls.lines += 1
        try:
            message = AirbyteMessage.model_validate_json(json_data)
        except Exception as error:
            cls.rejected.append({"line": json_data[:500], "error": str(error)[:500]})
            raise
        kind = message.type.value
        cls.types[kind] = cls.types.get(kind, 0) + 1
        if kind == "LOG":
            cls.logs.append(f"{message.log.level.value} {message.log.message}")
        # A message without its payload is valid by the models.
        payload = {"CONNECTION_STATUS": "connectionStatus"}.get(kind, kind.lower())
        if getattr(message, payload) is None:
            cls.rejected.append({"line": json_data[:500], "error": "it has no payload"})
        return message

    @classmethod
    def take(cls):
        told = {
            "lines": cls.lines,
            "rejected": len(cls.rejected),
            "examples": cls.rejected[:SHOWN],
            "types": cls.types,
            "logs": cls.logs,
        }
        cls.lines, cls.rejected, cls.types, cls.logs = 0, [], {}, []
        return told


connector_base.AirbyteMessage = Checked


class Client:
    def __init__(self, executable, config, streams, cache, **_):
        self.source = ab.get_source("source-tailrace", local_executable=executable, config=config)
        self.source.check()
        self.source.select_streams(streams)
        self.cache = ab.new_local_cache(cache)

    def sync(self, **_):
        result = self.source.read(cache=self.cache)
        return {"records": result.processed_records, **Checked.take()}

    def rows(self, sql, **_):
        """The first column of a query on the cache."""
        connection = self.cache.get_sql_engine().raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(sql)
            return [row[0] for row in cursor.fetchall()]
        finally:
            connection.close()


def main():
    client = None
    with os.fdopen(3, "w", encoding="utf-8") as answers:
        for line in sys.stdin:
            request = json.loads(line)
            try:
                if request["do"] == "open":
                    client = Client(**request)
                    answer = {"value": Checked.take()}
                else:
                    answer = {"value": getattr(client, request["do"])(**request)}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


main()
