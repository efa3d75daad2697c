<?php
// A join token for DCDN: php token.php SECRET_FILE [ORIGIN]

/** A token for pages of $origin, or of any. $secret is what is in the server's file. */
function join_token(string $secret, ?string $origin = null, int $seconds = 600): string
{
    $base64url = fn (string $data) => rtrim(strtr(base64_encode($data), '+/', '-_'), '=');
    $claims = ['exp' => time() + $seconds] + ($origin === null ? [] : ['aud' => $origin]);
    $signed = $base64url(json_encode(['alg' => 'HS256', 'typ' => 'JWT']))
        . '.' . $base64url(json_encode($claims));
    return $signed . '.' . $base64url(hash_hmac('sha256', $signed, $secret, true));
}

if (PHP_SAPI === 'cli' && isset($argv[1])) {
    echo join_token(rtrim(file_get_contents($argv[1]), "\r\n"), $argv[2] ?? null), "\n";
}
