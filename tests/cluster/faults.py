"""The faults of the sandbox at a size that a test suite can run every day."""

SLOW_OPTIONS = {
    "H8:body": "bytes=90000000",
    "H7:bomb": "bytes=300000000",
    "H7:double-bomb": "bytes=300000000",
    "H8:line": "bytes=3000000",
    "S12:flood": "bytes=4000000",
    "S11:tiny": "count=20000",
    "S8:comments": "count=1000",
    "U4:no-read": "seconds=5",
    "U8:headers": "interval=5",
    "U8:body": "interval=5",
}
