//! Encodes a malformed record batch, and the `Produce` request that sends it.

/// A batch of one record with any bytes. The lowest three bits of the attributes are the codec.
pub(crate) fn batch(attributes: i16, record: &[u8]) -> Vec<u8> {
    let mut batch = Vec::new();
    batch.extend(0_i32.to_be_bytes()); // leader epoch
    batch.push(2); // format version
    batch.extend(0_u32.to_be_bytes()); // checksum, which is not verified
    batch.extend(attributes.to_be_bytes());
    batch.extend(0_i32.to_be_bytes()); // last offset, from the first
    batch.extend(0_i64.to_be_bytes()); // first time
    batch.extend(0_i64.to_be_bytes()); // last time
    batch.extend((-1_i64).to_be_bytes()); // producer
    batch.extend((-1_i16).to_be_bytes()); // its epoch
    batch.extend((-1_i32).to_be_bytes()); // first sequence number
    batch.extend(1_i32.to_be_bytes()); // records
    batch.extend(record);
    let mut whole = 0_i64.to_be_bytes().to_vec(); // first offset
    whole.extend(length(&batch));
    whole.extend(batch);
    whole
}

/// A `Produce` request, version 3, with a length prefix.
pub(crate) fn produce(topic: &str, partition: i32, batch: &[u8]) -> Vec<u8> {
    let mut request = Vec::new();
    request.extend(0_i16.to_be_bytes()); // Produce
    request.extend(3_i16.to_be_bytes()); // its version
    request.extend(1_i32.to_be_bytes()); // correlation
    request.extend((-1_i16).to_be_bytes()); // no client id
    request.extend((-1_i16).to_be_bytes()); // no transaction
    request.extend((-1_i16).to_be_bytes()); // acks from all replicas
    request.extend(10_000_i32.to_be_bytes()); // time limit
    request.extend(1_i32.to_be_bytes()); // topics
    request.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
    request.extend(topic.as_bytes());
    request.extend(1_i32.to_be_bytes()); // partitions
    request.extend(partition.to_be_bytes());
    request.extend(length(batch));
    request.extend(batch);
    let mut framed = length(&request).to_vec();
    framed.extend(request);
    framed
}

fn length(bytes: &[u8]) -> [u8; 4] {
    i32::try_from(bytes.len()).unwrap().to_be_bytes()
}
