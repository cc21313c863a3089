"""What wiretape costs, measured against mitmdump and a bare aiohttp server: `make bench`."""
