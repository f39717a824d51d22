"""An HTTP/1.1 client of our own: connections, pools, names, bodies. It has no word about models."""
