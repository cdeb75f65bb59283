# Debian with initpy as its static executable: no Python. From the top of the repository:
#
#     docker build -t initpy .
#     docker build -f docker/bases/debian.Dockerfile -t initpy-debian .
#
# An image FROM this one brings /etc/initpy.toml and its programs. INITPY is the image that has
# /initpy, BASE_IMAGE any other: initpy needs nothing of it.
ARG INITPY=initpy
ARG BASE_IMAGE=debian:bookworm-slim
FROM ${INITPY} AS initpy

FROM ${BASE_IMAGE}
COPY --from=initpy /initpy /usr/local/bin/initpy
ENTRYPOINT ["/usr/local/bin/initpy"]
CMD ["-c", "/etc/initpy.toml"]
