"""Files of the formats that are read, and ways to spoil them."""
import base64
import struct
import zlib

# A grey one, one of four inks, a progressive one; 8 x 8 pixels.
JPEGS = [base64.b64decode(text) for text in (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqmx5mo"
    "q6T/wAALCAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAA//EABYQAAMAAAAAAAAAAAAAAAAAAAAFQv/aAAgBAQAAPwAEMn//2Q==",
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAbEhQXFBEbFxYXHhwbIChCKyglJShROj0wQmBVZWRfVV1baniZgWpxkHNbXYW1hpCeo6utq2eAvMm6pseZqKuk"
    "/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABYAAQEBAAAAAAAAAAAAAAAAAAEAA//EACIQAAIBBAEEAwAAAAAAAAAAAAECAwAEBRFCITFBUZHR8P/aAA4E"
    "QwBNAFkASwAAPwDfPcqs5IzsUQFmY6AA2SaMg73t4lsjaMja36Hk/FEzPkrwx7YRL1kccR9n92r/2Q==",
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqmx5mo"
    "q6T/2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKT/wgARCAAIAAgDASIAAhEB"
    "AxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAH/xAAVAQEBAAAAAAAAAAAAAAAAAAABAv/aAAwDAQACEAMQAAABgh//xAAVEAEBAAAAAAAAAAAAAAAAAAAA"
    "A//aAAgBAQABBQKL/8QAFxEAAwEAAAAAAAAAAAAAAAAAAAECEf/aAAgBAwEBPwGFp//EABcRAQADAAAAAAAAAAAAAAAAAAEAAyH/2gAIAQIBAT8BsUcn"
    "/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQAGPwJ//8QAFhABAQEAAAAAAAAAAAAAAAAAAREA/9oACAEBAAE/ITCu/9oADAMBAAIAAwAAABAD/8QA"
    "FhEBAQEAAAAAAAAAAAAAAAAAAQAR/9oACAEDAQE/EBOt/8QAFhEBAQEAAAAAAAAAAAAAAAAAEQAB/9oACAECAQE/EAGi/8QAFhABAQEAAAAAAAAAAAAA"
    "AAAAAREA/9oACAEBAAE/EDOABVd//9k=")]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth=8, colour=2, raw=None, more=b"", value=7):
    """Of any size that it says; rows of one value, packed a few megabytes at a time."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 3)
    length = (width * depth * channels + 7) // 8
    if raw is None:
        packer, parts, row = zlib.compressobj(9), [], b"\0" + bytes([value]) * length
        rows = max(1, (1 << 22) // len(row))
        for begin in range(0, height, rows):
            parts.append(packer.compress(row * min(rows, height - begin)))
        packed = b"".join(parts) + packer.flush()
    else:
        packed = zlib.compress(raw)
    palette = chunk(b"PLTE", bytes(range(48))) if colour == 3 else b""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width & 0xFFFFFFFF, height & 0xFFFFFFFF, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + more + palette + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def jpeg(number, width, height):
    """One that says another size than it has."""
    data = bytearray(JPEGS[number])
    at = next(i for i in range(len(data) - 1) if data[i] == 0xFF and data[i + 1] in (0xC0, 0xC2))
    data[at + 5:at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def idx_head(*axes, kind=8):
    return bytes([0, 0, kind, len(axes)]) + b"".join(struct.pack(">I", axis) for axis in axes)


def mangled(data, rng):
    """Bytes changed, cut, put in, doubled."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        how, at = rng.randrange(6), rng.randrange(max(len(data), 1))
        if how == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif how == 1 and data:
            data[at] = rng.choice([0, 255, 127, 128, rng.randrange(256)])
        elif how == 2:
            del data[at:at + rng.randint(1, 40)]
        elif how == 3:
            data[at:at] = rng.randbytes(rng.randint(1, 40))
        elif how == 4:
            data[at:at] = data[rng.randrange(max(len(data), 1)):][:rng.randint(1, 60)]
        else:
            del data[at:]
    return bytes(data)
