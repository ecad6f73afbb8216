-- One row for each line of the archive, malformed ones as NULL. In Athena, `records` is the table of
-- the catalogue. The variable `archive` is the folder:  SET VARIABLE archive = 'target/archive';
CREATE OR REPLACE VIEW records AS
SELECT
    regexp_extract(filename, '([^/]+)/date=[^/]+/[^/]+$', 1) AS topic,
    regexp_extract(filename, '/date=([^/]+)/[^/]+$', 1) AS day,
    CAST(json AS VARCHAR) AS line
FROM
    read_json_objects(
        getvariable('archive') || '/order.*/date=*/*.gz',
        format = 'newline_delimited',
        compression = 'gzip',
        ignore_errors = true,
        maximum_object_size = 16777216,
        filename = true
    );
