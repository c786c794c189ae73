"""Random messages of many schemas through generated Rust, compared with Protobuf for Python.

    roundtrip.py SETS PROGRAM [--messages N] [--seed N]

SETS is a folder of descriptor sets, PROGRAM the one that has the code generated for them. For each message type N random
messages are written as binary and as JSON; the program reads each and writes both; all four must be what was written.
"""

import argparse
import collections
import difflib
import json
import pathlib
import random
import struct
import subprocess
import sys

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor as Field

ERROR = 1 << 31
DEEPEST = 3


class Schema:
    """A descriptor set, and random messages of it."""

    def __init__(self, path, rng):
        self.name, self.rng = path.stem, rng
        self.pool = descriptor_pool.DescriptorPool()
        files = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()).file
        for file in files:
            self.pool.Add(file) if hasattr(self.pool, "Add") else self.pool.AddSerializedFile(file.SerializeToString())
        self.types = []
        for file in files:
            if not file.name.startswith("google/protobuf/") or "test_messages" in file.name:
                descriptor = self.pool.FindFileByName(file.name)
                for message in descriptor.message_types_by_name.values():
                    self.collect(message)

    def collect(self, message):
        options = message.GetOptions()
        if not options.map_entry and not is_impossible(message):
            self.types.append(message)
            for nested in message.nested_types:
                self.collect(nested)

    def message(self, descriptor, depth=0):
        message = message_factory.GetMessageClass(descriptor)()
        self.fill(message, depth)
        return message

    def fill(self, message, depth):
        special = WELL_KNOWN.get(message.DESCRIPTOR.full_name)
        if special:
            return special(self, message, depth)
        # Some are full, some sparse, some empty.
        share = self.rng.choice([0, 0.1, 0.5, 1]) if depth else self.rng.choice([0.2, 0.5, 1])
        chosen = {oneof.name: self.rng.choice(list(oneof.fields)) for oneof in message.DESCRIPTOR.oneofs}
        for field in message.DESCRIPTOR.fields:
            oneof = field.containing_oneof
            if oneof and chosen[oneof.name] is not field or is_unknown_to_prost(field):
                continue
            if field.is_required or self.rng.random() < share:
                self.set(message, field, depth)

    def set(self, message, field, depth):
        inner = field.message_type
        if inner and is_impossible(inner):
            return
        if inner and depth >= DEEPEST and not field.is_required:
            return
        if inner and inner.GetOptions().map_entry:
            key, value = inner.fields_by_name["key"], inner.fields_by_name["value"]
            entries = getattr(message, field.name)
            for _ in range(self.rng.choice([1, 3])):
                if value.message_type:
                    self.fill(entries[self.scalar(key)], depth + 1)
                else:
                    entries[self.scalar(key)] = self.scalar(value)
        elif field.is_repeated:
            items = getattr(message, field.name)
            for _ in range(self.rng.choice([1, 3])):
                if inner:
                    self.fill(items.add(), depth + 1)
                else:
                    items.append(self.scalar(field))
        elif inner:
            part = getattr(message, field.name)
            part.SetInParent()
            self.fill(part, depth + 1)
        else:
            setattr(message, field.name, self.scalar(field))

    def scalar(self, field):
        rng = self.rng
        match field.cpp_type:
            case Field.CPPTYPE_BOOL:
                return rng.random() < 0.5
            case Field.CPPTYPE_INT32:
                return rng.choice([0, 1, -1, 2**31 - 1, -(2**31), rng.randrange(-1000, 1000)])
            case Field.CPPTYPE_UINT32:
                return rng.choice([0, 1, 2**32 - 1, rng.randrange(1000)])
            case Field.CPPTYPE_INT64:
                return rng.choice([0, -1, 2**63 - 1, -(2**63), 2**53 + 1, rng.randrange(10**12)])
            case Field.CPPTYPE_UINT64:
                return rng.choice([0, 1, 2**64 - 1, 2**53 + 1, rng.randrange(10**12)])
            case Field.CPPTYPE_DOUBLE:
                return self.number(field, [1.7976931348623157e308, 5e-324, 1e21, rng.gauss(0, 1e6)])
            case Field.CPPTYPE_FLOAT:
                return self.number(field, [3.4028234663852886e38, 1.1754943508222875e-38, 0.1, rng.gauss(0, 1e3)])
            case Field.CPPTYPE_ENUM:
                numbers = [value.number for value in field.enum_type.values]
                if not field.enum_type.is_closed and field.enum_type.full_name != "google.protobuf.NullValue":
                    numbers.append(12345)
                return rng.choice(numbers)
        if field.type == Field.TYPE_BYTES:
            return rng.randbytes(rng.choice([0, 1, 2, 3, 20]))
        return self.text()

    def number(self, field, more):
        # prost takes -0.0 for the default, which is not written.
        in_map = field.containing_type.GetOptions().map_entry
        zero = -0.0 if (field.has_presence or field.is_repeated) and not in_map else 0.0
        return self.rng.choice([zero, 1.0, -2.5, float("inf"), float("-inf"), float("nan"), *more])

    def text(self):
        alphabet = "ab zA9_\"\\/\b\n\t\u0000\u001f\u007f\u2028<&é漢\U0001f980"
        return "".join(self.rng.choice(alphabet) for _ in range(self.rng.choice([0, 1, 5, 30])))

    # Messages with a JSON form of their own hold what it can say.

    def timestamp(self, message, _):
        message.seconds = self.rng.choice([0, -62135596800, 253402300799, self.rng.randrange(2 * 10**9)])
        message.nanos = self.rng.choice([0, 1, 999999999, 500000000, 1000])

    def duration(self, message, _):
        sign = self.rng.choice([1, -1])
        message.seconds = sign * self.rng.choice([0, 1, 315575999999, self.rng.randrange(10**6)])
        message.nanos = sign * self.rng.choice([0, 1, 999999999, 500000000])

    def field_mask(self, message, _):
        message.paths.extend(self.rng.sample(["a", "foo_bar", "foo.bar_baz", "x.y.z"], self.rng.randrange(4)))

    def value(self, message, depth):
        kinds = ["null_value", "number_value", "string_value", "bool_value"]
        kind = self.rng.choice(kinds + ["struct_value", "list_value"] * (depth < DEEPEST + 1))
        if kind == "null_value":
            message.null_value = 0
        elif kind == "number_value":
            message.number_value = self.rng.choice([0.0, -0.0, 1.5, -1e300, self.rng.gauss(0, 1e6)])
        elif kind == "string_value":
            message.string_value = self.text()
        elif kind == "bool_value":
            message.bool_value = self.rng.random() < 0.5
        else:
            part = getattr(message, kind)
            part.SetInParent()
            self.fill(part, depth + 1)

    def struct(self, message, depth):
        for _ in range(self.rng.randrange(3)):
            self.value(message.fields[self.text()], depth + 1)

    def list_value(self, message, depth):
        for _ in range(self.rng.randrange(3)):
            self.value(message.values.add(), depth + 1)

    def any(self, message, depth):
        packed = self.message(self.rng.choice(self.types), depth + 2)
        message.type_url = "type.googleapis.com/" + packed.DESCRIPTOR.full_name
        message.value = packed.SerializeToString(deterministic=True)


WELL_KNOWN = {
    "google.protobuf.Any": Schema.any,
    "google.protobuf.Duration": Schema.duration,
    "google.protobuf.FieldMask": Schema.field_mask,
    "google.protobuf.ListValue": Schema.list_value,
    "google.protobuf.Struct": Schema.struct,
    "google.protobuf.Timestamp": Schema.timestamp,
    "google.protobuf.Value": Schema.value,
}


class Program:
    """The generated code, in a process of its own."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, *frames):
        for frame in frames:
            self.process.stdin.write(struct.pack("<I", len(frame)) + frame)
        self.process.stdin.flush()
        return [self.answer() for _ in range(4)]

    def answer(self):
        (size,) = struct.unpack("<I", self.process.stdout.read(4))
        data = self.process.stdout.read(size & ~ERROR)
        return (None, data.decode()) if size & ERROR else (data, None)


def is_impossible(message, within=()):
    """prost has no message sets, and a message that requires itself has no end."""
    required = [field.message_type for field in message.fields if field.is_required and field.message_type]
    within = (*within, message)
    return message.GetOptions().message_set_wire_format or any(
        inner in within or is_impossible(inner, within) for inner in required
    )


def is_unknown_to_prost(field):
    """prost-types has the descriptors of an older Protobuf, without editions."""
    file = field.file.name
    return file.endswith("/descriptor.proto") or file.startswith("google/protobuf/") and field.name == "edition"


def canonical(message):
    return message.SerializeToString(deterministic=True)


def tree(text):
    """JSON without its layout; numbers are doubles, -0.0 among them."""
    return json.dumps(json.loads(text, parse_int=float), sort_keys=True, indent=1)


def difference(ours, theirs):
    return "\n".join(difflib.unified_diff(ours.splitlines(), theirs.splitlines(), "Python", "Rust", lineterm="", n=1))


def check(schema, program, descriptor):
    """What is wrong with the round trip of a new message, by way and reason."""
    message = schema.message(descriptor)
    binary = canonical(message)
    text = json_format.MessageToJson(message, descriptor_pool=schema.pool)
    answers = program.ask(f"{schema.name}/{descriptor.full_name}".encode(), binary, text.encode())
    ways = ["binary to binary", "binary to JSON", "JSON to binary", "JSON to JSON"]
    for way, (data, error) in zip(ways, answers):
        if error:
            yield way, error, text
        elif way.endswith("binary"):
            back = message_factory.GetMessageClass(descriptor).FromString(data)
            if canonical(back) != binary:
                # Maps in the bytes of an Any may have another order.
                other = json_format.MessageToJson(back, descriptor_pool=schema.pool)
                if tree(other) != tree(text):
                    yield way, "another message", difference(tree(text), tree(other))
        elif tree(data) != tree(text):
            yield way, "another text", difference(tree(text), tree(data))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", type=pathlib.Path)
    parser.add_argument("program")
    parser.add_argument("--messages", type=int, default=20, help="for each type")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    program = Program(options.program)
    passed, failures = 0, collections.defaultdict(list)
    for path in sorted(options.sets.glob("*.bin")):
        schema = Schema(path, random.Random(options.seed))
        before = passed
        for descriptor in schema.types:
            for _ in range(options.messages):
                wrong = list(check(schema, program, descriptor))
                passed += 4 - len(wrong)
                for way, why, what in wrong:
                    failures[way, why.split(" at ")[0], descriptor.full_name].append(what)
        print(f"{schema.name}: {len(schema.types)} types, {passed - before} passed")
    for (way, why, name), all_of_kind in sorted(failures.items()):
        print(f"\n{len(all_of_kind)} x {name}, {way}: {why}\n{min(all_of_kind, key=len)[:2000]}")
    failed = sum(map(len, failures.values()))
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
