const D=require('libsql');
const a=new D('/tmp/ro/x.db'); a.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)");
require('child_process').execSync('cp /tmp/ro/x.db* /tmp/ro2/ 2>/dev/null; ls -la /tmp/ro',{stdio:'inherit'});
a.close();
