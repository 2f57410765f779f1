#!/usr/bin/env bash
# The steps of Mender's tutorial for third-party clients (openssl, curl, jq), as printed there.
#
# Filled in from the environment: MENDER_SERVER_URL; CURL_CA_BUNDLE, which curl reads by itself;
# OPERATOR, a program that does what the tutorial does in the web interface. Every result goes to
# standard output as "name value". Runs in an empty folder.
#
# SPDX-License-Identifier: MIT

say() { printf '%s %s\n' "$1" "$2"; }

MENDER_TENANT_TOKEN="< paste your token here >"
MENDER_DEVICE_TYPE="curl-client"
MENDER_ARTIFACT_NAME="release-v1"
# The tutorial's mender-artifact command uses this name and never sets it.
DEVICE_TYPE="${MENDER_DEVICE_TYPE}"

# Step 1: authentication

openssl genpkey -algorithm RSA -out private.key -pkeyopt rsa_keygen_bits:3072 2>/dev/null
openssl rsa -in private.key -out private.key 2>/dev/null
openssl rsa -in private.key -out public.key -pubout 2>/dev/null
PUBLIC_KEY=$(awk 'NF {sub(/\r/, ""); printf "%s\\n",$0;}' public.key)

read -r -d '' REQUEST_BODY <<EOF
{
    "id_data": "{ \"mac\": \"00:11:22:33:44:55\"}",
    "pubkey": "${PUBLIC_KEY}",
    "tenant_token": "${MENDER_TENANT_TOKEN}"
}
EOF

X_MEN_SIGNATURE=$(echo -n "${REQUEST_BODY}" | openssl dgst -sha256 -sign private.key | openssl base64 -A)

auth_request() {
    curl -s "$@" \
        -H "Content-Type: application/json" \
        -H "X-MEN-Signature: ${X_MEN_SIGNATURE}" \
        --data "${REQUEST_BODY}" \
        ${MENDER_SERVER_URL}/api/devices/v1/authentication/auth_requests
}

say pending "$(auth_request | jq -r .error)"
say pending-code "$(auth_request -o /dev/null -w '%{http_code}')"
"$OPERATOR" accept
JWT=$(auth_request)
say jwt "$(echo "$JWT" | awk -F. '{print NF}')"

# Step 2: inventory

read -r -d '' INVENTORY_DATA <<EOF
[
    {
      "name":"device_type",
      "value":"${MENDER_DEVICE_TYPE}"
    },
    {
      "name":"artifact_name",
      "value":"${MENDER_ARTIFACT_NAME}"
    },
    {
      "name":"kernel",
      "value":"$(uname -a)"
    }
]
EOF

say inventory "$(curl -s -o /dev/null -w '%{http_code}' \
    -H "Content-Type: application/json" \
    -H "Authorization: Bearer $JWT" \
    --data "${INVENTORY_DATA}" \
    -X PATCH \
    ${MENDER_SERVER_URL}/api/devices/v1/inventory/device/attributes)"

# Step 3: check for deployments

say next-none "$(curl -s -o /dev/null -w '%{http_code}' \
    -H "Authorization: Bearer $JWT" \
    -X GET \
    "${MENDER_SERVER_URL}/api/devices/v1/deployments/device/deployments/next?artifact_name=${MENDER_ARTIFACT_NAME}&device_type=${MENDER_DEVICE_TYPE}")"

# Step 4: download

dd if=/dev/urandom of=payload.img bs=1M count=1 2>/dev/null
mender-artifact write rootfs-image \
    --device-type ${DEVICE_TYPE} \
    --artifact-name release-v2 \
    --output-path release-v2.mender \
    --file payload.img >/dev/null
"$OPERATOR" deploy release-v2.mender release-v2

NEXT=$(curl -s \
    -H "Authorization: Bearer $JWT" \
    -X GET \
    "${MENDER_SERVER_URL}/api/devices/v1/deployments/device/deployments/next?artifact_name=${MENDER_ARTIFACT_NAME}&device_type=${MENDER_DEVICE_TYPE}")
DEPLOYMENT_ID=$(echo "$NEXT" | jq -r .id)
say next "$(echo "$NEXT" | jq -c '[.artifact.artifact_name, .artifact.device_types_compatible]')"
curl -s -o downloaded.mender "$(echo "$NEXT" | jq -r .artifact.source.uri)"
cmp -s downloaded.mender release-v2.mender && say downloaded same

# Step 5: statuses, a substate, a log

for STATUS in downloading installing rebooting success failure already-installed; do
    say "$STATUS" "$(curl -s -o /dev/null -w '%{http_code}' \
        -H "Authorization: Bearer $JWT" \
        -H "Content-Type: application/json" \
        -d "{\"status\":\"$STATUS\"}" \
        -X PUT \
        "${MENDER_SERVER_URL}/api/devices/v1/deployments/device/deployments/${DEPLOYMENT_ID}/status")"
done

say substate "$(curl -s -o /dev/null -w '%{http_code}' \
    -H "Authorization: Bearer $JWT" \
    -H "Content-Type: application/json" \
    -d "{\"status\":\"installing\",\"substate\":\"writing 40%\"}" \
    -X PUT \
    "${MENDER_SERVER_URL}/api/devices/v1/deployments/device/deployments/${DEPLOYMENT_ID}/status")"

say log "$(curl -s -o /dev/null -w '%{http_code}' \
    -H "Authorization: Bearer $JWT" \
    -H "Content-Type: application/json" \
    -d "{\"messages\":[{\"timestamp\":\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\",\"level\":\"info\",\"message\":\"done\"}]}" \
    -X PUT \
    "${MENDER_SERVER_URL}/api/devices/v1/deployments/device/deployments/${DEPLOYMENT_ID}/log")"
