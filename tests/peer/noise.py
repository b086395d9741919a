"""The draws of RobustDARTS' `noise`, as the program makes them: from N(0, 1), the same for the same images, seed and place.

Key: XXH3 (64 bits) of the images' float32 bits, under the seed. A place's draws: ChaCha8 (Bernstein, 2008), whose key PCG32 fills from the
XXH3 of the place's name under that key (`SeedableRng::seed_from_u64` of the crate rand_core 0.9); uniform draws of 53 bits; Box and
Muller's cosine. Needs xxhash.
"""
import numpy as np, torch, xxhash

ROTATIONS = (16, 12, 8, 7)


def key(images, seed):
    return xxhash.xxh3_64_intdigest(images.detach().to(torch.float32).numpy().tobytes(), seed=seed)


def draw(key, place, shape):
    """float32 draws: each of two uniform ones."""
    uniform = doubles(words(xxhash.xxh3_64_intdigest(place.encode(), seed=key), 4 * int(np.prod(shape))))
    u, v = 1.0 - uniform[0::2], uniform[1::2]
    return torch.from_numpy((np.sqrt(-2.0 * np.log(u)) * np.cos(2 * np.pi * v)).astype(np.float32)).reshape(shape)


def doubles(words):
    """Of 64 bits, the low word first, the upper 53 as a fraction."""
    words = words.astype(np.uint64)
    return ((words[0::2] | words[1::2] << np.uint64(32)) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def pcg32(state):
    """Eight words of PCG32 (O'Neill, 2014)."""
    for _ in range(8):
        state = (state * 6364136223846793005 + 11634580027462260723) % 2**64
        x, turn = ((state >> 18 ^ state) >> 27) % 2**32, state >> 59
        yield (x >> turn | x << (-turn % 32)) % 2**32


def words(seed, count):
    """The first `count` words of ChaCha8's stream."""
    blocks = -(-count // 16)
    counter = np.arange(blocks, dtype=np.uint64)
    constant = lambda word: np.full(blocks, word, dtype=np.uint32)
    start = [constant(w) for w in np.frombuffer(b"expand 32-byte k", dtype="<u4")] + [constant(w) for w in pcg32(seed)]
    start += [(counter % 2**32).astype(np.uint32), (counter >> np.uint64(32)).astype(np.uint32), constant(0), constant(0)]
    s = [word.copy() for word in start]
    def quarter(*at):
        a, b, c, d = at
        for (x, y, z), turn in zip([(a, b, d), (c, d, b)] * 2, ROTATIONS):
            s[x] += s[y]
            s[z] ^= s[x]
            s[z] = s[z] << np.uint32(turn) | s[z] >> np.uint32(32 - turn)
    for _ in range(4):
        for i in range(4): quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4): quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return np.stack([a + b for a, b in zip(s, start)], 1).flatten()[:count]


def install(net, seed):
    """Every noise module of `net` draws for the images that the network is shown."""
    def shown(_, inputs): net.noise_key = key(inputs[0], seed)
    net.register_forward_pre_hook(shown)
    for place, module in net.named_modules():
        if type(module).__name__ == "Noise":
            module.draw = lambda shape, place=place: draw(net.noise_key, place, tuple(shape))
