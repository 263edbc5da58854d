# Builds with any Docker builder; nothing here needs BuildKit.
FROM rust:1.95-bookworm AS build
WORKDIR /build

# Dependencies first, against empty sources: OpenSSL, libgit2 and SQLite are built from C, and this layer stays until
# Cargo.toml or Cargo.lock change.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src tests/it benches \
 && echo 'fn main() {}' | tee src/main.rs tests/it/main.rs benches/prober.rs benches/scale.rs >/dev/null \
 && touch src/lib.rs \
 && cargo build --release --locked --bin bascule

# The empty sources are newer than the real ones, so cargo must be told.
COPY schemas schemas
COPY docs/codes docs/codes
COPY src src
RUN touch src/main.rs src/lib.rs && cargo build --release --locked --bin bascule

# What the final image takes from here: git's word that it may read a mounted repository that another user owns (nothing
# of a repository is ever run), and an empty folder for the state file.
RUN mkdir -p /image/state && printf '[safe]\n\tdirectory = *\n' >/image/gitconfig

FROM debian:bookworm-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /image/gitconfig /etc/gitconfig
COPY --from=build --chown=65532:65532 /image/state /var/lib/bascule
COPY --from=build /build/target/release/bascule /usr/local/bin/bascule
USER 65532:65532
WORKDIR /var/lib/bascule
ENV BASCULE_STATE=/var/lib/bascule/bascule.db
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s CMD ["bascule", "healthcheck"]
ENTRYPOINT ["bascule"]
CMD ["run"]
