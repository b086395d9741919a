// Launches that do not wait for each other, as one: a small one does not leave the card idle, and there are fewer.

KERNEL(separable_and_pools, SideBySide, 2) {
    const SideBySide& both = *jobs;
    if (blockIdx.x < both.n_first) separable_forward_body((const SeparableForwardJob*)both.first, both.first_work, pass);
    else pool_forward_body((const PoolForwardJob*)both.second, both.second_work - both.n_first, pass);
}

KERNEL(separable_and_derived, SideBySide, 2) {
    const SideBySide& both = *jobs;
    if (blockIdx.x < both.n_first) separable_forward_body((const SeparableForwardJob*)both.first, both.first_work, pass);
    else derive_body((const DeriveJob*)both.second, both.second_work - both.n_first, pass);
}

KERNEL(taps_and_gather, SideBySide, 2) {
    const SideBySide& both = *jobs;
    if (blockIdx.x < both.n_first) separable_taps_body((const SeparableTapJob*)both.first, both.first_work, pass);
    else gather_body((const GatherJob*)both.second, both.second_work - both.n_first, pass);
}
