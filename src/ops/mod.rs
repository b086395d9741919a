//! HOW an op computes, forward and backward: one folder an op. Knows no cell and no edge. May use: candle, pulp, rayon.
