// SHA-256 of a lock's name, which is the lock's identity: those who choose names must not find two that collide. Here,
// because a hash object of node:crypto costs several times as much as all that opening a lock does beside it.

#pragma once

#include <cstddef>
#include <cstdint>

namespace semlock {

// FIPS 180-4, https://doi.org/10.6028/NIST.FIPS.180-4
void Sha256(const void* data, size_t length, uint8_t digest[32]);

}  // namespace semlock
