# Debian with its Python, and initpy as a package for that. From the top of the repository:
#
#     docker build -f docker/bases/debian-python.Dockerfile -t initpy-debian-python .
#
# An image FROM this one brings /etc/initpy.toml and its programs. BASE_IMAGE may be any Debian 12 or
# later.
ARG BASE_IMAGE=debian:bookworm-slim
FROM ${BASE_IMAGE}

RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3 \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/*

COPY docker/initpy /usr/local/bin/initpy
COPY initpy/ /usr/lib/python3/dist-packages/initpy/
RUN python3 -m compileall -q /usr/lib/python3/dist-packages/initpy

ENTRYPOINT ["/usr/local/bin/initpy"]
CMD ["-c", "/etc/initpy.toml"]
