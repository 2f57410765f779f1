# Object identifiers of the keys that instar knows, as DER has them.
# SPDX-License-Identifier: MIT

EC = b"\x2a\x86\x48\xce\x3d\x02\x01"  # 1.2.840.10045.2.1, RFC 5480
P256 = b"\x2a\x86\x48\xce\x3d\x03\x01\x07"  # 1.2.840.10045.3.1.7, RFC 5480
RSA = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"  # 1.2.840.113549.1.1.1, RFC 8017
