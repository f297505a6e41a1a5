# The image of dtr-lb: `just image` makes it. Nothing is in it but the static binary,
# certificates of authorities, and the filter as the binary would compile it at each
# start; so it is built from target/image, where packaging/image puts them.
FROM scratch
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY dtr-lb /dtr-lb
COPY compiled /compiled
ENV DTR_LB_CACHE_DIR=/compiled
# Ports below 1024 are open to everybody in a container of Docker 20.10 and later.
USER 65532:65532
EXPOSE 80 443 8181
# Drains: see drain_delay and drain_timeout, and give it as long (--stop-timeout).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=5s \
    CMD ["/dtr-lb", "health", "--config", "/etc/dtr-lb/lb.json"]
ENTRYPOINT ["/dtr-lb"]
CMD ["run", "--config", "/etc/dtr-lb/lb.json"]
