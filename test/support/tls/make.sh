#!/bin/sh
# Makes the certificates in this folder anew: sh test/support/tls/make.sh (OpenSSL 3). The CA's key is thrown away.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
: > "$work/index"
echo 01 > "$work/crlnumber"
printf "[req]\\ndistinguished_name = name\\n[name]\\n" > "$work/request.cnf"
cat > "$work/openssl.cnf" <<END
[ca]
default_ca = this
[this]
database = $work/index
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
crl_extensions = revocations
crlnumber = $work/crlnumber
default_crl_days = 36500
unique_subject = no
[any]
commonName = supplied
[revocations]
authorityKeyIdentifier = keyid
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:FALSE
subjectAltName = DNS:localhost,IP:127.0.0.1
extendedKeyUsage = serverAuth
[client]
basicConstraints = CA:FALSE
extendedKeyUsage = clientAuth
END

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }
# begins in the past, so that a machine with a slow clock takes it, and lasts a hundred years
sign() {
  openssl req -new -config "$work/request.cnf" -subj "/CN=$1" -key "$2" -out "$work/request"
  shift 2
  openssl ca -batch -notext -config "$work/openssl.cnf" -in "$work/request" \
    -startdate 20250101000000Z -enddate 21250101000000Z "$@" 2> "$work/log" || { cat "$work/log" >&2; exit 1; }
}

key "$work/ca.key"
sign 'Tailrace test CA' "$work/ca.key" -selfsign -keyfile "$work/ca.key" -extensions authority -out ca.crt
for who in server:localhost client:postgres; do
  role=${who%%:*}
  key "$role.key"
  sign "${who#*:}" "$role.key" -cert ca.crt -keyfile "$work/ca.key" -extensions "$role" -out "$role.crt"
done

key "$work/other.key"
sign 'Tailrace other CA' "$work/other.key" -selfsign -keyfile "$work/other.key" -extensions authority -out other-ca.crt

revocations() {
  openssl ca -batch -config "$work/openssl.cnf" -cert ca.crt -keyfile "$work/ca.key" "$@" 2> "$work/log" || { cat "$work/log" >&2; exit 1; }
}
revocations -gencrl -crl_lastupdate 20250101000000Z -out none.crl
revocations -revoke server.crt
revocations -gencrl -crl_lastupdate 20250101000000Z -out server.crl
