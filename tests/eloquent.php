<?php
// Updates rows of `whatsapp_accounts` through Eloquent, as a Laravel service does beside a store, for so many
// seconds: `id` or `range`, mysql://USER@HOST:PORT/DATABASE, SECONDS. One row by its id, or several of a range that
// the transaction locks. Prints its updates and the deadlocks that it lost.
//
// Needs Debian's php-cli, php-mysql and php-illuminate-database.

require '/usr/share/php/Illuminate/Database/autoload.php';

use Illuminate\Database\Capsule\Manager as Capsule;
use Illuminate\Database\Eloquent\Model;
use Illuminate\Database\QueryException;

class WhatsAppAccount extends Model
{
    protected $table = 'whatsapp_accounts';
    protected $guarded = [];
}

[, $mode, $url, $seconds] = $argv;
$parts = parse_url($url);
$capsule = new Capsule();
$capsule->addConnection([
    'driver' => 'mysql',
    'host' => $parts['host'],
    'port' => $parts['port'],
    'database' => ltrim($parts['path'], '/'),
    'username' => $parts['user'],
    'password' => $parts['pass'] ?? '',
    'charset' => 'utf8mb4',
    'collation' => 'utf8mb4_unicode_ci',
    'strict' => true,
]);
$capsule->setAsGlobal();
$capsule->bootEloquent();

$updates = $deadlocks = $timeouts = 0;
$end = microtime(true) + (float) $seconds;
while (microtime(true) < $end) {
    try {
        Capsule::connection()->transaction(function () use ($mode, &$updates) {
            $first = random_int(1, 100);
            if ($mode === 'range') {
                $rows = WhatsAppAccount::where('workspace_id', 1)->whereBetween('id', [$first, $first + 20])
                    ->lockForUpdate()->get();
                foreach ($rows->shuffle()->take(3) as $row) {
                    $row->update(['last_connected_at' => date('Y-m-d H:i:s')]);
                    $updates++;
                }
                WhatsAppAccount::where('id', random_int(1, 100))->update(['last_connected_at' => date('Y-m-d H:i:s')]);
            } else {
                WhatsAppAccount::where('id', $first)->update(['last_connected_at' => date('Y-m-d H:i:s')]);
                $updates++;
            }
        });
    } catch (QueryException $error) {
        $number = $error->errorInfo[1] ?? 0;
        if ($number === 1213) {
            $deadlocks++;
        } elseif ($number === 1205) {
            $timeouts++;
        } else {
            throw $error;
        }
    }
}
echo "Eloquent by $mode: $updates updates, $deadlocks deadlocks lost, $timeouts waits too long\n";
